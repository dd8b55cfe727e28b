// The program `scoville`.
#include "client/cli/command_line.h"

int main(int argc, char** argv) { return scoville::client::RunCli(argc, argv); }
