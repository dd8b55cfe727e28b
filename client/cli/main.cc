// The program `scoville`.
#include "client/cli/session.h"

int main(int argc, char** argv) { return scoville::client::RunCli(argc, argv); }
