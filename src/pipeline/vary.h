// Pictures from CLIP embeddings: variations, interpolations and text differences (Ramesh et al.
// 2022, section 3), with any model that paints from a picture's embedding.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pipeline/draw.h"

namespace longhand {

/// What vary, blend and morph have in common.
struct EmbeddingRequest : PaintRequest {
  int noise_level = 0;

  static constexpr auto fields = std::tuple_cat(
      std::tuple{field("noise_level", &EmbeddingRequest::noise_level,
                       "Stable unCLIP: noise on the picture's embedding; more lets go further", 0,
                       999)},
      PaintRequest::painting_fields);
};

/// One picture, painted anew.
struct VaryRequest : EmbeddingRequest {
  std::string picture, prompt;
  int n = 1;
  std::optional<double> eta;

  static constexpr auto fields = std::tuple_cat(
      std::tuple{
          field("n", &VaryRequest::n, "how many pictures; each has the next seed", 1, 64),
          field("eta", &VaryRequest::eta,
                "start from the picture's own noise and take ddim's steps with this much new: 0 "
                "returns the picture, 1 keeps least (default: from noise alone)",
                0, 1),
      },
      EmbeddingRequest::fields);
};

/// Pictures and texts, and what lies between.
struct BlendRequest : EmbeddingRequest {
  std::vector<std::string> inputs;
  std::optional<int> count, steps_between;

  static constexpr auto fields = std::tuple_cat(
      std::tuple{
          field("count", &BlendRequest::count, "pictures in the strip, ends included", 2, 64),
          field("steps_between", &BlendRequest::steps_between,
                "pictures between two inputs (default: 5)", 0, 62),
      },
      EmbeddingRequest::fields);
};

/// One picture along the difference of two texts.
struct MorphRequest : EmbeddingRequest {
  std::string picture, from, to;
  int count = 7;
  double theta = 0.5;

  static constexpr auto fields = std::tuple_cat(
      std::tuple{
          field("from", &MorphRequest::from, "what the picture shows"),
          field("to", &MorphRequest::to, "what it is to become"),
          field("count", &MorphRequest::count, "pictures in the strip, the picture first", 2, 64),
          field("theta", &MorphRequest::theta,
                "how far the last one goes, as a part of the angle to the difference; 0.25 to 0.5 "
                "suits most",
                0, 1),
      },
      EmbeddingRequest::fields);
};

/// A blend's input: a picture, or a text, whose embedding the prior imagines.
struct BlendInput {
  std::string text;
  std::optional<Image> picture;
};

/// A picture where a file has this name or the name ends as a picture's does; else a text. Throws
/// not_found, corrupt; invalid_argument for a text that is empty or no text.
BlendInput blend_input(const std::string& name);

/// How many pictures a blend has. Throws invalid_argument for fewer than two inputs, fewer pictures
/// than inputs, more than 64, and for both --count and --steps-between.
int strip_length(const BlendRequest& request);

/// Sets what painting from a picture's own noise takes: ddim, which can be run backwards, and one
/// attempt. Throws invalid_argument where others are asked for.
void require_own_noise(PaintRequest& request);

/// The painting that a resolved request asks for.
PaintOptions embedding_painting_of(const EmbeddingRequest& request);

/// n orders with seeds seed, seed + 1, …
std::vector<Order> variations(const VaryRequest& request, const Image& picture,
                              const DiffusionModel& model);

/// The strip's orders, all with one seed: embeddings along the chain of the inputs'. `on_step` is
/// called after each step of the prior, which imagines the texts'.
std::vector<Order> blend(const BlendRequest& request, const std::vector<BlendInput>& inputs,
                         const DiffusionModel& model, const OnStep& on_step = {});

/// The strip's orders, all with one seed: the picture's embedding rotated along the difference.
std::vector<Order> morph(const MorphRequest& request, const Image& picture,
                         const DiffusionModel& model);

/// Gives each order the noise of the picture, scaled and cut around its middle to the size that is
/// painted, for the first order's conditions.
void start_from(const Image& picture, std::vector<Order>& orders, const Painter& painter,
                const PaintOptions& options);

}  // namespace longhand
