// Which of a repository's files a model needs. Weights are safetensors alone: pickles (.bin, .ckpt,
// .pt) run code when they are read, and ONNX, OpenVINO and Flax files are other programs' copies.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace longhand {

/// A file as the hub lists it.
struct HubFile {
  std::string path;
  std::int64_t size = -1;  // bytes; -1 where the hub does not say
  std::string etag;        // its hash (io/hub_digest.h); "" where the hub does not say
};

struct SelectionRequest {
  std::string variant;               // "fp16": weights whose name ends in .fp16.safetensors
  std::vector<std::string> files;    // these alone, by name
  std::vector<std::string> include;  // these alone, by pattern; * matches across folders
};

struct Selection {
  std::vector<HubFile> files;
  std::vector<std::string> notes;  // what a person should know, such as a variant that is missing
};

/// model_index: that file's content where the repository has it, else null. Without `files` and
/// `include`:
///   a folder in the diffusers layout   the components that model_index.json names; of each its
///                                      configs and its weights of the variant. Where a component
///                                      lacks the variant the plain weights are taken, and where it
///                                      lacks plain weights those of fp16, with a note.
///   any other                          the root's configs and weights (LoRA files, CLIP, TAESD)
///   GGUF files                         the one that is there
/// Throws not_found for a file, pattern or variant that is not there, and invalid_argument where a
/// choice is to be made among GGUF files or only pickles are there; the message lists what is.
Selection select_files(const std::vector<HubFile>& all, const nlohmann::json& model_index,
                       const SelectionRequest& request);

/// "13.9 GB", "9.79 MB", "312 B"; "?" for a size below zero.
std::string human_bytes(std::int64_t bytes);

}  // namespace longhand
