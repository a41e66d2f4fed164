// What is written into a picture's file: all that is needed to paint it again, and A1111's text,
// which others read.
#pragma once

#include <string>

#include "io/image.h"
#include "pipeline/draw.h"

namespace longhand {

/// How one picture came about.
struct PictureRecord {
  DrawRequest request;  // the seed set
  std::string caption;  // what was painted: the prompt lengthened, or the prompt itself
  std::string llm;      // the language model's name; "" where none was asked
  std::string prompt_template;
  int index = 0;  // which of the request's n
  /// Of an edited picture: {"picture": its name, "strength": 0.5, …}; null for one of a prompt.
  nlohmann::json edit = {};
  /// Of vary, blend and morph: {"command": "blend", "inputs": ["a.png", "a text"], …}; else null.
  nlohmann::json embedding = {};
};

/// PNG text: "parameters" as A1111 writes it, and "longhand", the record as JSON.
ImageText picture_text(const PictureRecord& record);

/// A1111's text: caption, then "Steps: 25, Sampler: DDIM, CFG scale: 5, Seed: 1, Size: 128x128,
/// Model: pocket, …".
std::string a1111_parameters(const PictureRecord& record);

/// The record in a PNG's text. Throws invalid_argument where there is none, corrupt where it is
/// broken.
PictureRecord picture_record(const ImageText& text, const std::string& name);

}  // namespace longhand
