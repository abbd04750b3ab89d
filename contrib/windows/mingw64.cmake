# CMake tool chain: Windows x64 by mingw-w64 (win32 threads) from Linux, tests run under Wine.
#
# The libraries come from the prefix that contrib/windows/deps builds; it is <build dir>/../mingw-deps
# unless HVRELAY_MINGW_PREFIX names another.

set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)

set(_triple x86_64-w64-mingw32)
set(CMAKE_C_COMPILER ${_triple}-gcc-win32)
set(CMAKE_RC_COMPILER ${_triple}-windres)

# try_compile() reads this file again in a build folder of its own: carry the choice over.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HVRELAY_MINGW_PREFIX)
set(HVRELAY_MINGW_PREFIX "${CMAKE_BINARY_DIR}/../mingw-deps/prefix" CACHE PATH
    "where contrib/windows/deps installed libuv, inih and cmocka")

set(CMAKE_FIND_ROOT_PATH ${HVRELAY_MINGW_PREFIX} /usr/${_triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# The libraries are found by their CMake package files: pkg-config would answer for the machine that
# builds.
set(CMAKE_DISABLE_FIND_PACKAGE_PkgConfig TRUE)

# One Wine prefix per build folder, made at the first test.
set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/wine-run ${CMAKE_BINARY_DIR}/wine)
