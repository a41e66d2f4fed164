#include "io/tar.h"

#include <archive.h>
#include <archive_entry.h>

#include "core/error.h"

namespace longhand {
namespace {

constexpr std::size_t read_block = 1 << 16;
constexpr int tar_block = 512;

la_ssize_t put(archive* tar, void* stream, const void* bytes, std::size_t count) {
  auto& out = *static_cast<std::ostream*>(stream);
  out.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count));
  if (!out) {
    archive_set_error(tar, errno, "it cannot be written");
    return -1;
  }
  return static_cast<la_ssize_t>(count);
}

}  // namespace

void TarReader::Free::operator()(archive* tar) const { archive_read_free(tar); }
void TarWriter::Free::operator()(archive* tar) const { archive_write_free(tar); }

TarReader::TarReader(const fs::path& path) : name_(path.string()), tar_(archive_read_new()) {
  if (!fs::is_regular_file(path)) {
    fail(Kind::not_found, "{} is no file", name_);
  }
  archive_read_support_filter_all(tar_.get());
  archive_read_support_format_tar(tar_.get());
  if (archive_read_open_filename(tar_.get(), name_.c_str(), read_block) != ARCHIVE_OK) {
    broken();
  }
}

void TarReader::broken() const {
  const char* why = archive_error_string(tar_.get());
  fail(Kind::corrupt, "{} is no whole tar file{}: {}", name_,
       member_.empty() ? "" : " (after " + member_ + ")", why == nullptr ? "unknown" : why);
}

std::optional<TarReader::Member> TarReader::next() {
  archive_entry* entry = nullptr;
  for (;;) {
    const int code = archive_read_next_header(tar_.get(), &entry);
    if (code == ARCHIVE_EOF) {
      return std::nullopt;
    }
    const char* name = code < ARCHIVE_WARN ? nullptr : archive_entry_pathname(entry);
    if (name == nullptr) {
      broken();
    }
    if (archive_entry_filetype(entry) == AE_IFREG) {
      member_ = name;
      return Member{member_, archive_entry_size(entry)};
    }
  }
}

std::string TarReader::read(std::int64_t most) {
  std::string bytes;
  for (;;) {
    const void* block = nullptr;
    std::size_t count = 0;
    la_int64_t at = 0;
    const int code = archive_read_data_block(tar_.get(), &block, &count, &at);
    if (code == ARCHIVE_EOF) {
      return bytes;
    }
    if (code < ARCHIVE_WARN) {
      broken();
    }
    if (std::ssize(bytes) + static_cast<std::int64_t>(count) > most) {
      fail(Kind::corrupt, "{}: {} has over {} bytes", name_, member_, most);
    }
    bytes.append(static_cast<const char*>(block), count);
  }
}

TarWriter::TarWriter(std::ostream& out) : tar_(archive_write_new()) {
  archive_write_set_format_ustar(tar_.get());
  archive_write_set_bytes_per_block(tar_.get(), 0);
  archive_write_set_bytes_in_last_block(tar_.get(), tar_block);
  check(archive_write_open(tar_.get(), &out, nullptr, put, nullptr));
}

void TarWriter::check(int code) const {
  if (code < ARCHIVE_WARN) {
    const char* why = archive_error_string(tar_.get());
    fail(Kind::unavailable, "a tar file: {}", why == nullptr ? "it cannot be written" : why);
  }
}

void TarWriter::add(const std::string& name, const std::string& bytes) {
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                            archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), std::ssize(bytes));
  check(archive_write_header(tar_.get(), entry.get()));
  if (archive_write_data(tar_.get(), bytes.data(), bytes.size()) != std::ssize(bytes)) {
    check(ARCHIVE_FATAL);
  }
}

void TarWriter::close() { check(archive_write_close(tar_.get())); }

}  // namespace longhand
