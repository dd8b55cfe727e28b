// A plain TCP client for tests: sends bytes as they are and reads what comes.
#ifndef SCOVILLE_TESTS_UNIT_SERVER_HTTP_RAW_CLIENT_H_
#define SCOVILLE_TESTS_UNIT_SERVER_HTTP_RAW_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

namespace scoville::tests {

class RawClient {
 public:
  // `receive_buffer`: bytes the kernel keeps unread; 0: as it likes.
  explicit RawClient(uint16_t port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    timeval patience{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Close() {
    if (fd_ >= 0) {
      close(fd_);
    }
    fd_ = -1;
  }
  void Send(const std::string& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) {
        return;
      }
      sent += static_cast<size_t>(n);
    }
  }
  // Everything up to the end of the connection.
  std::string ReadAll() {
    while (ReadSome()) {
    }
    return std::exchange(read_, "");
  }
  // Up to and including `mark`; what follows stays for the next call. Short if the peer closes.
  std::string ReadUntil(const std::string& mark) {
    size_t at;
    while ((at = read_.find(mark)) == std::string::npos) {
      if (!ReadSome()) {
        return std::exchange(read_, "");
      }
    }
    std::string out = read_.substr(0, at + mark.size());
    read_.erase(0, at + mark.size());
    return out;
  }

 private:
  bool ReadSome() {
    char buffer[4096];
    const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
    if (n <= 0) {
      return false;
    }
    read_.append(buffer, static_cast<size_t>(n));
    return true;
  }

  int fd_;
  bool connected_ = false;
  std::string read_;
};

}  // namespace scoville::tests

#endif  // SCOVILLE_TESTS_UNIT_SERVER_HTTP_RAW_CLIENT_H_
