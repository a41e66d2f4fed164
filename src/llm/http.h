// cpp-httplib, compiled as setup/llama.sh compiles it: with OpenSSL.
#pragma once

#define CPPHTTPLIB_OPENSSL_SUPPORT
#define CPPHTTPLIB_TCP_NODELAY 1
#include <cpp-httplib/httplib.h>
