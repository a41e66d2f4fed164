// What the verbs that paint have in common: captions, and the files that are left.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "pipeline/picture_record.h"

namespace longhand {

/// "a-red-car-7.png": a name where none was given.
fs::path name_for(const std::string& words, std::int64_t seed);

/// Throws invalid_argument for an ending that is not .png, .jpg or .webp: before anything is
/// painted.
void check_ending(const fs::path& path);

/// The same path or, where the picture has more pixels a side than JPEG or WebP can hold, and with
/// a warning, one that ends with .png: what took hours to paint is not lost.
fs::path holding(const fs::path& path, const Image& image);

/// The bytes of a file with this ending; with a record, that in them.
std::string encoded(const fs::path& path, const Image& image, const PictureRecord& record);
std::string encoded(const fs::path& path, const Image& image, const ImageText& text = {},
                    const std::string& parameters = {});

/// Declares --preview FILE, which must outlive the parse.
void add_preview(CLI::App& app, std::string& file);

/// Declares --memory, the most that the process is to hold (core/memory.h).
void add_memory(CLI::App& app);

/// Has each preview of a run written to the file, a batch's pictures side by side; nothing where it
/// is "".
void write_previews(PaintOptions& options, const std::string& file);

/// Writes a request's pictures, FILE-1.png, FILE-2.png, … where there are several, and prints their
/// names. The record's index is set for each.
void write_pictures(const fs::path& out, const std::vector<Image>& images, PictureRecord record);

/// Lengthens the record's prompt into its caption, and says by whom. One that the text encoder
/// cannot read at once, or whose words have weights, stays as it is.
void lengthen(PictureRecord& record, const ModelDefaults& defaults, const DiffusionModel& model);

/// Says which words the text encoder will not see.
void warn_of_length(const std::string& caption, const DiffusionModel& model);

/// Paints with a progress line; Ctrl-C stops between steps.
std::vector<Image> painted(const Painter& painter, const std::vector<Order>& orders,
                           PaintOptions options, const std::string& what = "painting");

}  // namespace longhand
