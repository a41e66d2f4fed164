// Checkpoints in foreign layouts give the names, shapes and values that diffusers' own conversion
// gives (tests/golden/record_checkpoints.py). Values are whole numbers, so checksums are exact.
#include <nlohmann/json.hpp>

#include "models/checkpoint.h"
#include "models/checkpoint_layouts.h"
#include "support.h"

using namespace longhand;

namespace {

const fs::path golden = LONGHAND_TESTS "/golden/checkpoints";
const char* const kinds[] = {"stable-diffusion-v1-5", "stable-diffusion-2-1",
                             "stable-diffusion-xl-base-1.0", "stable-diffusion-xl-refiner-1.0"};

/// Σ value · place, counted from 1.
double checksum(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kDouble).contiguous().flatten();
  return (flat * at::arange(1, flat.numel() + 1, at::kDouble)).sum().item<double>();
}

void check_values(const TensorMap& tensors, const nlohmann::json& expected) {
  Shapes shapes;
  for (const auto& [name, entry] : expected.items()) {
    shapes[name] = entry[0].get<std::vector<std::int64_t>>();
  }
  REQUIRE(difference(shapes_of(tensors), shapes) == "");
  for (const auto& [name, entry] : expected.items()) {
    CHECK_MESSAGE(checksum(tensors.at(name)) == entry[1].get<double>(), name);
  }
}

}  // namespace

TEST_CASE("the published single files have the components' keys") {
  for (const std::string kind : kinds) {
    TensorMap tensors;
    for (const auto& [name, shape] :
         shapes_in(LONGHAND_TESTS "/keys/original/" + kind + ".txt.gz")) {
      tensors[name] = at::empty(shape, at::TensorOptions(at::kMeta));
    }
    const SingleFile& file = SingleFile::of(tensors, kind);
    CHECK(file.configs == kind);
    file.check(tensors, kind);
    for (const SingleFilePart& part : file.parts) {
      const std::string list = fmt::format("{}.{}.txt.gz", kind, part.component);
      const Shapes expected = shapes_in(LONGHAND_TESTS "/keys/" + list);
      const Shapes got = shapes_of(file.component(tensors, part.component));
      CHECK_MESSAGE(difference(got, expected) == "", list);
    }
  }
}

TEST_CASE("small single files are read as diffusers reads them") {
  const auto expected = nlohmann::json::parse(gunzipped(golden / "expected.json.gz"));
  for (const std::string kind : kinds) {
    const Checkpoint checkpoint(golden / (kind + ".safetensors"));
    CHECK(checkpoint.components().size() == expected[kind].size());
    for (const auto& [component, entries] : expected[kind].items()) {
      CHECK(checkpoint.has(component));
      CHECK(checkpoint.config(component).is_object());
      check_values(checkpoint.weights(component, at::kHalf).stored(), entries);
    }
    CHECK(checkpoint.config("scheduler").contains("_class_name"));
  }
}

TEST_CASE("weights of a single file are views until they are taken") {
  const Checkpoint checkpoint(golden / "stable-diffusion-xl-base-1.0.safetensors");
  const Weights weights = checkpoint.weights("text_encoder_2", at::kHalf);
  for (const auto& [name, tensor] : weights.stored()) {
    CHECK_MESSAGE(!tensor.storage().resizable(), name);  // torch's own memory could be resized
  }
}

TEST_CASE("the names of pytorch_diffusion are UNet2DModel's") {
  const auto expected = nlohmann::json::parse(gunzipped(golden / "expected.json.gz"));
  const Checkpoint checkpoint(golden / "ddpm.safetensors");
  CHECK(checkpoint.components() == std::vector<std::string>{"unet"});
  CHECK(checkpoint.config("unet").at("_class_name") == "UNet2DModel");
  check_values(checkpoint.weights("unet", at::kHalf).stored(), expected["ddpm"]["unet"]);
}
