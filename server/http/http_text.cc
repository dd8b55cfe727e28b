#include "server/http/http_text.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace scoville::server {

absl::string_view HttpReason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

std::string HttpHead(int status, absl::string_view content_type, const HttpHeaders& headers,
                     const HttpFraming& framing) {
  std::string out = absl::StrCat("HTTP/1.1 ", status, " ", HttpReason(status), "\r\n");
  absl::StrAppend(&out, "Content-Type: ", content_type, "\r\n");
  if (framing.chunked) {
    absl::StrAppend(&out, "Transfer-Encoding: chunked\r\n");
  } else if (!framing.until_close) {
    absl::StrAppend(&out, "Content-Length: ", framing.content_length, "\r\n");
  }
  if (!framing.keep_alive || framing.until_close) {
    absl::StrAppend(&out, "Connection: close\r\n");
  }
  absl::StrAppend(&out, "X-Content-Type-Options: nosniff\r\n");
  for (const auto& [name, value] : headers) {
    CHECK(value.find_first_of("\r\n") == std::string::npos);
    absl::StrAppend(&out, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&out, "\r\n");
  return out;
}

std::string HttpChunk(absl::string_view bytes) {
  if (bytes.empty()) {
    return "";
  }
  return absl::StrCat(absl::Hex(bytes.size()), "\r\n", bytes, "\r\n");
}

std::string OpenAiErrorBody(absl::string_view message, absl::string_view type,
                            absl::string_view param, absl::string_view code) {
  nlohmann::json error = {
      {"message", std::string(message)},
      {"type", std::string(type)},
      {"param", nullptr},
      {"code", std::string(code)},
  };
  if (!param.empty()) {
    error["param"] = std::string(param);
  }
  return nlohmann::json{{"error", error}}.dump(-1, ' ', false,
                                               nlohmann::json::error_handler_t::replace);
}

}  // namespace scoville::server
