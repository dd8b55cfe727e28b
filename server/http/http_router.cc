#include "server/http/http_router.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "server/http/http_text.h"

namespace scoville::server {

namespace {

bool Matches(absl::string_view route, absl::string_view path) {
  if (route.size() > 1 && route.back() == '/') {
    return path.size() > route.size() && absl::StartsWith(path, route);
  }
  return route == path;
}

}  // namespace

HttpRouter::HttpRouter() {
  routes_.push_back({"_other", "_other", nullptr, {}});
  for (const int code : {0, 400, 404, 405, 413, 431, 503}) {
    routes_[0].counts[code] = 0;
  }
}

void HttpRouter::Add(const std::string& method, const std::string& path,
                     const std::vector<int>& codes, HttpHandler handler) {
  Route route{path, method, std::move(handler), {{0, 0}}};
  for (const int code : codes) {
    route.counts[code] = 0;
  }
  routes_.push_back(std::move(route));
}

HttpRouter::Route* HttpRouter::Find(absl::string_view method, absl::string_view path,
                                    bool* path_known) {
  const absl::string_view effective = method == "HEAD" ? "GET" : method;
  *path_known = false;
  for (size_t i = 1; i < routes_.size(); ++i) {
    if (Matches(routes_[i].path, path)) {
      *path_known = true;
      if (routes_[i].method == effective) {
        return &routes_[i];
      }
    }
  }
  return &routes_[0];
}

void HttpRouter::Handle(std::shared_ptr<HttpExchange> exchange) {
  bool path_known = false;
  const HttpRequest& request = exchange->request();
  Route* route = Find(request.method, request.path, &path_known);
  if (route->handler) {
    route->handler(std::move(exchange));
    return;
  }
  std::vector<std::string> paths;
  std::string allowed;
  for (size_t i = 1; i < routes_.size(); ++i) {
    paths.push_back(routes_[i].path);
    if (Matches(routes_[i].path, request.path)) {
      absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", routes_[i].method);
    }
  }
  if (path_known) {
    exchange->Reply(405, "application/json",
                    OpenAiErrorBody(absl::StrCat("this path takes ", allowed),
                                    "invalid_request_error", "", "method_not_allowed"),
                    {{"Allow", allowed}});
    return;
  }
  const std::string shown = request.path.substr(0, 128);
  exchange->Reply(
      404, "application/json",
      OpenAiErrorBody(absl::StrCat("nothing is at '", shown, "'", DidYouMean(shown, paths)),
                      "invalid_request_error", "", "not_found"));
}

void HttpRouter::Count(absl::string_view method, absl::string_view path, int status) {
  bool path_known = false;
  std::map<int, int64_t>& counts = Find(method, path, &path_known)->counts;
  const auto at = counts.find(status);
  ++(at == counts.end() ? counts.at(0) : at->second);
}

std::vector<HttpRequestCount> HttpRouter::counts() const {
  std::vector<HttpRequestCount> out;
  for (const Route& route : routes_) {
    for (const auto& [code, count] : route.counts) {
      out.push_back({route.path, route.method, code == 0 ? "other" : absl::StrCat(code), count});
    }
  }
  return out;
}

}  // namespace scoville::server
