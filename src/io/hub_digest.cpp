#include "io/hub_digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include "core/error.h"

namespace longhand {
namespace {

void check(int answer) {
  if (answer != 1) {
    fail(Kind::internal, "OpenSSL cannot compute a hash");
  }
}

}  // namespace

bool is_digest(std::string_view etag) {
  return (etag.size() == 64 || etag.size() == 40) &&
         etag.find_first_not_of("0123456789abcdef") == etag.npos;
}

Digest::Digest(const std::string& etag, std::int64_t size)
    : etag_(etag), context_(EVP_MD_CTX_new(), [](void* context) {
        EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
      }) {
  const bool git = etag.size() == 40;
  check(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), git ? EVP_sha1() : EVP_sha256(),
                          nullptr));
  if (git) {
    add(fmt::format("blob {}", size));
    add(std::string_view("\0", 1));
  }
}

void Digest::add(std::string_view bytes) {
  check(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), bytes.data(), bytes.size()));
}

bool Digest::matches() {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  check(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), hash, &size));
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += fmt::format("{:02x}", hash[i]);
  }
  return text == etag_;
}

}  // namespace longhand
