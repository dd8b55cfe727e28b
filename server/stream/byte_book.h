// Bytes of requests that wait, from the moment they arrive: booked before anything is made of them,
// let go when the request first gets to a device, fails, or ends.
//
//   std::shared_ptr<void> booking = book->Take(Bytes(body.size()), now);
//   if (booking == nullptr) return Refuse(book->RetryAfter(size, now, draw));
//   request.booking = std::move(booking);
//
// Where nothing is booked one request is taken whatever its size: its protocol has bounds of its
// own, and it could never come in otherwise.
//
// Units: bytes. Ownership: bookings keep what they need of it alive. Threading: any thread; a lock
// is held for a few additions. Errors: no room is a value.
#ifndef SCOVILLE_SERVER_STREAM_BYTE_BOOK_H_
#define SCOVILLE_SERVER_STREAM_BYTE_BOOK_H_

#include <cstdint>
#include <memory>

#include "base/units.h"

namespace scoville::server {

class ByteBook {
 public:
  explicit ByteBook(Bytes most);  // zero: no limit

  // nullptr: no room.
  std::shared_ptr<void> Take(Bytes bytes, TimePoint now);
  Bytes booked() const;
  Bytes most() const { return most_; }
  // When there is likely to be room for so much, from how fast bytes were let go; `id` spreads
  // those that are sent away together.
  Duration RetryAfter(Bytes bytes, TimePoint now, uint64_t id) const;

 private:
  struct State;
  const Bytes most_;
  const std::shared_ptr<State> state_;
};

}  // namespace scoville::server

#endif  // SCOVILLE_SERVER_STREAM_BYTE_BOOK_H_
