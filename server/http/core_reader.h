// Asks the engine for its counters and state, without waiting for it.
//
// Ownership: borrows the engine and the HTTP server. Threading: HTTP thread; the copy is made on
// the engine thread. Errors: an engine that does not answer in time gives the snapshot before, so
// that a stalled daemon can still be observed.
#ifndef SCOVILLE_SERVER_HTTP_CORE_READER_H_
#define SCOVILLE_SERVER_HTTP_CORE_READER_H_

#include <functional>
#include <memory>
#include <vector>

#include "server/engine/engine.h"
#include "server/http/http_server.h"
#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

class CoreReader {
 public:
  static constexpr Duration kPatience = Milliseconds(1000);

  // What the engine's deployments were like at one instant, by number.
  struct Snapshot {
    TimePoint now;
    std::vector<DeploymentSnapshot> deployments;
  };

  CoreReader(Engine* engine, HttpServer* http);
  // No answer is delivered after this.
  ~CoreReader();

  // Calls back once, on the HTTP thread.
  void Read(std::function<void(const Snapshot&)> done);

  const Snapshot& last() const { return *last_; }

 private:
  Engine* const engine_;
  HttpServer* const http_;
  std::shared_ptr<Snapshot> last_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_CORE_READER_H_
