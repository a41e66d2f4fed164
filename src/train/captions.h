// Captions of scenes as recipes ask for them, and captions that name other things: what a trained
// model must tell apart.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/random.h"
#include "train/latents.h"

namespace longhand {

/// The world's caption of a kind: "alt", "short" or "descriptive".
std::string caption_of(const World& world, const Scene& scene, const std::string& kind,
                       Random& random);

/// Captions of training scenes in the shares of a recipe's "captions", as {"alt": 0.05, "short":
/// 0.3, "descriptive": 0.65} (Betker et al. 2023, section 3.2). Short and descriptive ones are the
/// world's or, where the recipe names a table as "written_captions", those that a captioner wrote.
class CaptionMix {
 public:
  /// Throws corrupt for other kinds, and for a table that lacks scenes below `scenes`.
  CaptionMix(const World& world, const nlohmann::json& recipe, std::int64_t scenes);

  struct Drawn {
    std::string kind, caption;
  };
  Drawn draw(const Scene& scene, std::int64_t number, Random& random) const;
  /// A caption of that kind that is wrong in one thing (NegCLIP's hard negatives: Yuksekgonul et
  /// al. 2023, section 4): the world's, of the scene told otherwise, or where no words for that are
  /// found, the right one.
  std::string wrong(const Scene& scene, const Drawn& right, Random& random) const;

 private:
  void read_written(const fs::path& table, std::int64_t scenes);

  const World& world_;
  std::map<std::string, double> shares_;                     // their sum is 1
  std::map<std::string, std::vector<std::string>> written_;  // kind → captions by scene
};

/// The columns of such a table (train/recaption.cpp): a scene's number and a caption a kind.
inline constexpr const char* written_number = "Number";

/// Scenes that are not trained on: those of another seed.
class HeldBackScenes {
 public:
  HeldBackScenes(const World& world, std::uint64_t seed, int count)
      : world_(world), seed_(seed + 1), count_(count) {}

  int count() const { return count_; }
  Scene scene(int number) const { return numbered_scene(world_, seed_, number % count_); }
  /// Descriptive captions; of other figures: as if each showed the next scene's first thing and
  /// colour.
  std::vector<std::string> captions(bool of_other_figures) const;
  /// Latents [count, channels, h, w] of their pictures, size×size.
  at::Tensor latents(const Autoencoder& vae, int size, at::ScalarType dtype) const;

 private:
  const World& world_;
  std::uint64_t seed_;
  int count_;
};

}  // namespace longhand
