# What every target of the project shares: language level, warnings, sanitizers, and the three ways to declare a target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

set(SCOVILLE_SANITIZE "" CACHE STRING "Value of -fsanitize= for every target, empty for none")
option(SCOVILLE_TESTS "Build the tests, benchmarks and fuzzers" ON)
option(SCOVILLE_FUZZ "Build the libFuzzer programs (clang only)" OFF)
option(SCOVILLE_WERROR "Treat warnings as errors" ON)

find_program(SCOVILLE_CCACHE ccache)
if(SCOVILLE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SCOVILLE_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${SCOVILLE_CCACHE})
endif()

find_package(Threads REQUIRED)
# Protobuf has only CMake's own Find module, which must run before gRPC's configuration asks for it.
find_package(Protobuf REQUIRED)
find_package(absl REQUIRED CONFIG)
find_package(gRPC REQUIRED CONFIG)
find_package(yaml-cpp REQUIRED CONFIG)
find_package(nlohmann_json REQUIRED CONFIG)
if(SCOVILLE_TESTS)
  find_package(GTest REQUIRED CONFIG)
  include(GoogleTest)
endif()

add_library(scoville_flags INTERFACE)
target_include_directories(scoville_flags INTERFACE ${PROJECT_SOURCE_DIR})
# -ffp-contract=off: prices and kernels must give the same bits on every machine and at every optimisation level.
target_compile_options(scoville_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough
                       -ffp-contract=off -fno-math-errno -fstack-protector-strong)
if(SCOVILLE_WERROR)
  target_compile_options(scoville_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(scoville_flags INTERFACE -Wthread-safety)
else()
  # GCC 12 sees overlapping copies in any `"literal" + std::string` (GCC bug 105329).
  target_compile_options(scoville_flags INTERFACE -Wno-restrict)
endif()
if(SCOVILLE_SANITIZE)
  target_compile_options(scoville_flags INTERFACE -fsanitize=${SCOVILLE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(scoville_flags INTERFACE -fsanitize=${SCOVILLE_SANITIZE})
endif()
if(SCOVILLE_FUZZ)
  target_compile_options(scoville_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer)
  target_link_options(scoville_flags INTERFACE -fsanitize=address,undefined)
endif()

# scoville_library(NAME SRCS a.cc b.h ... DEPS targets...): one static library a folder, sources listed by hand.
function(scoville_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(${name} PUBLIC scoville_flags ${ARG_DEPS})
endfunction()

# scoville_binary(NAME SRCS ... DEPS ...): a program a user runs; it lands in <build>/bin.
function(scoville_binary name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE scoville_flags ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# scoville_test(NAME SRCS ... DEPS ... LABELS ... [TIMEOUT s]): one test program a folder; each of its cases is a ctest
# entry. Labels: fast (in the under-a-minute tier), model (needs the real model file), slow.
function(scoville_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(SCOVILLE_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 5")  # what the sanitizers cost
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS fast)
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE scoville_flags ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE SCOVILLE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
