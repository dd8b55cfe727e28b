// Finds the handler of a method and path, answers 404 and 405 itself, and counts every answer.
//
// Ownership: owns the handlers. Threading: built before the server starts, then HTTP thread only.
// Errors: none.
#ifndef SCOVILLE_SERVER_HTTP_HTTP_ROUTER_H_
#define SCOVILLE_SERVER_HTTP_HTTP_ROUTER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/http/http_server.h"
#include "server/metrics/metrics_snapshot.h"

namespace scoville::server {

class HttpRouter {
 public:
  HttpRouter();

  // `codes`: the statuses this route answers with, so that their series exist from start. Others
  // count as "other". A GET route takes HEAD as well. A path that ends in '/' (other than "/")
  // takes everything below it.
  void Add(const std::string& method, const std::string& path, const std::vector<int>& codes,
           HttpHandler handler);

  void Handle(std::shared_ptr<HttpExchange> exchange);
  void Count(absl::string_view method, absl::string_view path, int status);

  // In a fixed order.
  std::vector<HttpRequestCount> counts() const;

 private:
  struct Route {
    std::string path;
    std::string method;
    HttpHandler handler;
    std::map<int, int64_t> counts;  // by status; 0 is any other
  };

  // The route, or the fallback. `*path_known` tells 405 from 404.
  Route* Find(absl::string_view method, absl::string_view path, bool* path_known);

  std::vector<Route> routes_;  // the first one is the fallback
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_HTTP_HTTP_ROUTER_H_
