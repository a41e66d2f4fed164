// A blob of the hub's cache while it comes: its bytes so far, and their hash.
#pragma once

#include <functional>

#include "core/files.h"
#include "io/hub_digest.h"
#include "io/hub_selection.h"

namespace longhand {

class PartialBlob {
 public:
  /// Opens blob + ".incomplete", or makes it, and hashes what an earlier run left there. Throws
  /// cancelled once stopped() is true, unavailable when it cannot be written.
  PartialBlob(const fs::path& blob, const HubFile& file, const std::function<bool()>& stopped);
  ~PartialBlob();
  PartialBlob(const PartialBlob&) = delete;
  PartialBlob& operator=(const PartialBlob&) = delete;

  std::int64_t size() const { return size_; }
  bool whole() const { return size_ == file_.size; }

  /// Throws unavailable when the disk is full, corrupt for more bytes than the file has.
  void append(std::string_view bytes);
  /// Begins anew.
  void restart();
  /// To be called once, when whole(): with the right hash the file becomes the blob; with a wrong
  /// one it is removed, and false returned.
  bool finish();

  /// The bytes that an earlier run left of a blob.
  static std::int64_t size_of(const fs::path& blob);

 private:
  void take_existing(const std::function<bool()>& stopped);
  [[noreturn]] void fail_writing() const;

  fs::path blob_, path_;
  HubFile file_;
  Digest digest_;
  std::int64_t size_ = 0;
  int descriptor_;
};

}  // namespace longhand
