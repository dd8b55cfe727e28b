// What a request wants its answer to match, from the wire to a compiled constraint.
//
//   ReadConstraint(in, &check, &spec);            // as part of building the request
//   if (NeedsCompiling(cache, &built, &error)) …  // then CompileFor, on the background worker
//
// Units: bytes. Ownership: borrows the cache. Threading: any thread. Errors: ServiceErrors that
// name the field.
#ifndef SCOVILLE_SERVER_REQUEST_REQUEST_CONSTRAINT_H_
#define SCOVILLE_SERVER_REQUEST_REQUEST_CONSTRAINT_H_

#include <optional>

#include "absl/functional/function_ref.h"
#include "base/units.h"
#include "model/grammar/constraint.h"
#include "server/constraint/constraint_cache.h"
#include "server/errors/service_error.h"
#include "server/request/field_checker.h"
#include "server/request/request_builder.h"

namespace scoville::v1 {
class Constraint;
class Stop;
}  // namespace scoville::v1

namespace scoville::server {

// What one constraint that waits to be compiled counts for in the background worker's queue.
inline constexpr Bytes kConstraintWeight = Bytes(64 << 10);

void ReadConstraint(const v1::Constraint& in, const v1::Stop& stop, FieldChecker* check,
                    model::ConstraintSpec* out);

// False: the request has what it asked for, or `error` says why it cannot have it. `cache` may be
// null: constraints are then refused.
bool NeedsCompiling(ConstraintCache* cache, BuiltRequest* built,
                    std::optional<ServiceError>* error);
// Takes a while.
std::optional<ServiceError> CompileFor(ConstraintCache* cache, BuiltRequest* built,
                                       absl::FunctionRef<bool()> abandoned);

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_REQUEST_REQUEST_CONSTRAINT_H_
