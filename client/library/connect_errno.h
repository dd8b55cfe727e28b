// Keeps a connection that is on its way from being called failed.
//
// gRPC before 1.61 looks at connect(2)'s errno only after it has taken locks (grpc/grpc#35064).
// The first thread of a process that queues behind another for an absl::Mutex measures the CPU's
// clock, for which it looks for a file in /sys that ordinary kernels lack, and keeps ENOENT in
// errno. If that thread is connecting, calls fail with "failed to connect ...: No such file or
// directory" although the daemon listens.
#ifndef SCOVILLE_CLIENT_LIBRARY_CONNECT_ERRNO_H_
#define SCOVILLE_CLIENT_LIBRARY_CONNECT_ERRNO_H_

namespace scoville::client {

// Lets that measurement happen now, which takes milliseconds the first
// time in a process and nothing later. To be called before the first channel is made.
//
// Threading: any. Errors: none.
void KeepConnectErrno();

}  // namespace scoville::client

#endif  // SCOVILLE_CLIENT_LIBRARY_CONNECT_ERRNO_H_
