// `scoville completion SHELL`: a script for the shell, made from the commands as they are defined.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"

namespace scoville::client {
namespace {

using WordLists = std::map<std::string, std::vector<std::string>>;

std::string BashScript(const WordLists& options) {
  std::string script =
      "_scoville() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} words\n"
      "  case ${COMP_WORDS[1]} in\n";
  std::vector<std::string> names;
  for (const auto& [name, words] : options) {
    names.push_back(name);
    absl::StrAppend(&script, "    ", name, ") words='", absl::StrJoin(words, " "), "' ;;\n");
  }
  absl::StrAppend(&script,
                  "    *) words= ;;\n"
                  "  esac\n"
                  "  [ \"$COMP_CWORD\" -eq 1 ] && words='",
                  absl::StrJoin(names, " "),
                  "'\n"
                  "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                  "}\n"
                  "complete -F _scoville scoville\n");
  return script;
}

// zsh runs bash's completions through its own adapter.
std::string ZshScript(const WordLists& options) {
  return absl::StrCat(
      "#compdef scoville\n"
      "autoload -U +X bashcompinit && bashcompinit\n",
      BashScript(options));
}

std::string FishScript(const WordLists& options) {
  std::string script;
  for (const auto& [name, words] : options) {
    absl::StrAppend(&script, "complete -c scoville -n __fish_use_subcommand -f -a ", name, "\n");
    for (const std::string& word : words) {
      absl::StrAppend(&script, "complete -c scoville -n '__fish_seen_subcommand_from ", name,
                      "' -l ", word.substr(2), "\n");
    }
  }
  return script;
}

}  // namespace

void DefineCompletion(CommandLine* line) {
  auto shell = std::make_shared<std::string>();
  line->Add("completion", "A completion script for the shell", "Program",
            "  scoville completion bash > "
            "~/.local/share/bash-completion/completions/scoville\n")
      .Text("SHELL", shell.get(), "bash, zsh or fish")
      .Required()
      .OneOf({"bash", "zsh", "fish"})
      .Run([line, shell](Session&) {
        const WordLists options = line->OptionNames();
        const std::string script = *shell == "bash"  ? BashScript(options)
                                   : *shell == "zsh" ? ZshScript(options)
                                                     : FishScript(options);
        return Session::Print(script) ? kExitDone : kExitFailed;
      });
}

}  // namespace scoville::client
