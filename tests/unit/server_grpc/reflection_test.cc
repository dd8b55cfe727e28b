#include <gmock/gmock.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/server_grpc/server_fixture.h"

namespace scoville::tests {
namespace {

using ::testing::HasSubstr;

// One question to the reflection service, as bytes: the contract of the service is not built here.
class ReflectionTest : public ::testing::Test {
 protected:
  // The answer's bytes; empty if there was none within 10 s.
  std::string Ask(const std::string& request) {
    grpc::GenericStub stub(f.channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(
        &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
    int tag = 0;
    const auto wait = [&] {
      void* done = nullptr;
      bool ok = false;
      return queue.Next(&done, &ok) && ok;
    };
    call->StartCall(&tag);
    if (!wait()) return "";
    const grpc::Slice slice(request);
    call->Write(grpc::ByteBuffer(&slice, 1), &tag);
    if (!wait()) return "";
    grpc::ByteBuffer answer;
    call->Read(&answer, &tag);
    if (!wait()) return "";
    std::vector<grpc::Slice> slices;
    EXPECT_TRUE(answer.Dump(&slices).ok());
    std::string out;
    for (const grpc::Slice& part : slices) {
      out.append(reinterpret_cast<const char*>(part.begin()), part.size());
    }
    grpc::Status status;
    call->WritesDone(&tag);
    wait();
    call->Finish(&status, &tag);
    wait();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return out;
  }

  // Field `number` of ServerReflectionRequest, a string below 128 bytes.
  static std::string Question(int number, const std::string& value) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(value.size())} + value;
  }

  static constexpr int kFileContainingSymbol = 4;
  static constexpr int kListServices = 7;

  ServerFixture f;
};

TEST_F(ReflectionTest, ListsEveryService) {
  const std::string answer = Ask(Question(kListServices, "*"));
  EXPECT_THAT(answer, HasSubstr("scoville.v1.Completions"));
  EXPECT_THAT(answer, HasSubstr("scoville.v1.Pool"));
  EXPECT_THAT(answer, HasSubstr("grpc.health.v1.Health"));
}

// A tool can only call what it gets the descriptor of.
TEST_F(ReflectionTest, DescribesWhatItLists) {
  EXPECT_THAT(Ask(Question(kFileContainingSymbol, "scoville.v1.Completions")),
              HasSubstr("GenerateRequest"));
  EXPECT_THAT(Ask(Question(kFileContainingSymbol, "scoville.v1.Pool")),
              HasSubstr("WatchPoolRequest"));
  EXPECT_THAT(Ask(Question(kFileContainingSymbol, "grpc.health.v1.Health")),
              HasSubstr("HealthCheckRequest"));
}

}  // namespace
}  // namespace scoville::tests
