// Finding a component's files, and checkpoints that are refused.
#include "models/checkpoint.h"

#include "../refusals.h"
#include "core/error.h"
#include "models/checkpoint_files.h"
#include "models/checkpoint_layouts.h"
#include "support.h"

using namespace longhand;

namespace {

const fs::path golden = LONGHAND_TESTS "/golden/checkpoints";

/// An empty folder of its own for a test.
struct Folder {
  Folder() : path(fs::temp_directory_path() / fmt::format("longhand-checkpoint-{}", getpid())) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  fs::path write(const std::string& name, const std::string& text = "x") const {
    write_file_atomically(path / name, text);
    return path / name;
  }
  fs::path path;
};

template <class Call>
std::string error_of(Kind kind, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.what();
  }
  FAIL("expected an error");
  return "";
}

/// A small single file of Stable Diffusion 1 with a change made to it.
template <class Change>
fs::path changed(const Folder& folder, const Change& change) {
  TensorMap tensors = load_tensors(golden / "stable-diffusion-v1-5.safetensors");
  change(tensors);
  save_tensors(folder.path / "model.safetensors", tensors, at::kHalf);
  return folder.path / "model.safetensors";
}

}  // namespace

TEST_CASE("weight_files") {
  const Folder folder;
  const auto files = [&] { return weight_files(folder.path, "model"); };
  CHECK(has(error_of(Kind::not_found, files), "neither model.safetensors nor"));
  folder.write("model.bin");
  CHECK(has(error_of(Kind::invalid_argument, files), "pickle"));
  const fs::path variant = folder.write("model.fp16.safetensors");
  CHECK(files() == std::vector<fs::path>{variant});

  folder.write("model.safetensors.index.json",
               R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors",
                                  "c": "model-1.safetensors"}})");
  const fs::path first = folder.write("model-1.safetensors");
  CHECK(has(error_of(Kind::not_found, files), "model-2.safetensors, which is missing"));
  const fs::path second = folder.write("model-2.safetensors");
  CHECK(files() == std::vector<fs::path>{first, second});
  folder.write("model.safetensors.index.json",
               R"({"weight_map": {"a": "../model-1.safetensors"}})");
  CHECK(has(error_of(Kind::corrupt, files), "not a file of the same folder"));
  folder.write("model.safetensors.index.json", R"({"metadata": {}})");
  CHECK(has(error_of(Kind::corrupt, files), "weight_map"));

  const fs::path whole = folder.write("model.safetensors");
  CHECK(files() == std::vector<fs::path>{whole});
}

TEST_CASE("the names of sharded variants, as diffusers and transformers write them") {
  for (const char* index :
       {"model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json"}) {
    const Folder folder;
    folder.write(index, R"({"weight_map": {"a": "model.fp16-00001-of-00001.safetensors"}})");
    const fs::path shard = folder.write("model.fp16-00001-of-00001.safetensors");
    CHECK(weight_files(folder.path, "model") == std::vector<fs::path>{shard});
  }
}

TEST_CASE("single files that are refused") {
  const Folder folder;
  const auto message = [](Kind kind, const fs::path& path) {
    return error_of(kind, [&] { Checkpoint checkpoint(path); });
  };
  CHECK(has(message(Kind::not_found, folder.path / "none.safetensors"), "none.safetensors"));
  CHECK(has(message(Kind::invalid_argument, folder.write("model.ckpt")), "torch.load"));
  CHECK(has(message(Kind::corrupt, changed(folder,
                                           [](TensorMap& tensors) {
                                             tensors["surprise.weight"] = at::ones({1});
                                           })),
            "1 keys that a checkpoint like stable-diffusion-v1-5 has not: surprise.weight"));
  CHECK(has(message(Kind::corrupt, changed(folder,
                                           [](TensorMap& tensors) {
                                             std::erase_if(tensors, [](const auto& entry) {
                                               return entry.first.starts_with("first_stage_model.");
                                             });
                                           })),
            "has no vae"));
  CHECK(has(message(Kind::invalid_argument,
                    changed(folder,
                            [](TensorMap& tensors) {
                              tensors["model.diffusion_model.input_blocks.0.0.weight"] =
                                  at::ones({4, 9, 3, 3});
                            })),
            "takes 9 channels"));
  CHECK(has(message(Kind::invalid_argument,
                    LONGHAND_TESTS "/golden/vae/diffusion_pytorch_model.safetensors"),
            "no checkpoint of Stable Diffusion"));
}

TEST_CASE("marks of v-prediction") {
  const Folder folder;
  const Checkpoint plain(changed(folder, [](TensorMap&) {}));
  CHECK(plain.config("scheduler").value("prediction_type", "epsilon") == "epsilon");
  const Checkpoint marked(changed(
      folder, [](TensorMap& tensors) { tensors["v_pred"] = tensors["ztsnr"] = at::ones({1}); }));
  CHECK(marked.config("scheduler").at("prediction_type") == "v_prediction");
  CHECK(marked.config("scheduler").at("rescale_betas_zero_snr") == true);
}

TEST_CASE("what a single file predicts") {
  const std::map<std::string, std::string> none;
  const auto name = [](const TensorMap& tensors, const std::map<std::string, std::string>& metadata,
                       const char* mark) { return prediction_of(tensors, metadata, mark).name; };
  const at::Tensor wide = at::tensor({-0.2, 0.2}), narrow = at::tensor({-0.05, 0.05});
  CHECK(name({}, none, nullptr).empty());
  CHECK(name({{"mark", wide}}, none, nullptr).empty());
  CHECK(name({}, none, "mark").empty());
  CHECK(name({{"mark", wide}}, none, "mark") == "v_prediction");
  CHECK(name({{"mark", narrow.to(at::kHalf)}}, none, "mark") == "epsilon");
  // What is said outright counts for more than what is guessed.
  const at::Tensor base = at::scalar_tensor(875000, at::kLong);
  CHECK(name({{"mark", wide}, {"global_step", base}}, none, "mark") == "epsilon");
  CHECK(name({{"mark", wide}, {"global_step", base - 1}}, none, "mark") == "v_prediction");
  CHECK(name({{"mark", narrow}}, {{"modelspec.prediction_type", "v"}}, "mark") == "v_prediction");
  CHECK(name({{"mark", wide}}, {{"modelspec.prediction_type", "epsilon"}}, "mark") == "epsilon");
  CHECK(name({{"v_pred", base}}, {{"modelspec.prediction_type", "epsilon"}}, nullptr) ==
        "v_prediction");
}

TEST_CASE("a base of Stable Diffusion 2 is one of noise and of 512 pixels; a person knows best") {
  const Folder folder;
  TensorMap tensors = load_tensors(golden / "stable-diffusion-2-1.safetensors");
  tensors["global_step"] = at::scalar_tensor(875000, at::kLong);
  const fs::path path = folder.path / "base.safetensors";
  save_tensors(path, tensors, at::kFloat);
  const auto sides = [](const Checkpoint& checkpoint) {
    return checkpoint.config("unet").at("sample_size").get<int>();
  };
  const auto type = [](const Checkpoint& checkpoint) {
    return checkpoint.config("scheduler").at("prediction_type").get<std::string>();
  };
  const Checkpoint read(path), told(path, {.prediction_type = "v_prediction"});
  CHECK(type(read) == "epsilon");
  CHECK(sides(read) == 64);
  CHECK(type(told) == "v_prediction");
  CHECK(sides(told) == 96);
  CHECK_THROWS_WITH_AS(Checkpoint(path, {.prediction_type = "noise"}),
                       doctest::Contains("--prediction-type noise"), Error);
}

TEST_CASE("a single file with the configs of another model of its kind") {
  const fs::path turbo = home() / "data" / "models" / "sdxl-turbo";
  const Checkpoint checkpoint(golden / "stable-diffusion-xl-base-1.0.safetensors",
                              {.config = turbo});
  CHECK(checkpoint.config("scheduler").at("_class_name") == "EulerAncestralDiscreteScheduler");
  CHECK(checkpoint.config("unet").at("sample_size") == 64);
  CHECK(checkpoint.configs() == turbo);
  CHECK_THROWS_WITH_AS(Checkpoint(turbo, {.config = turbo}), doctest::Contains("--config"), Error);
}

TEST_CASE("a folder in diffusers' layout, with a single component or a lack of one") {
  const Folder folder;
  folder.write("model_index.json",
               R"({"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderKL"],
                   "safety_checker": [null, null]})");
  const Checkpoint checkpoint(folder.path);
  CHECK(checkpoint.components() == std::vector<std::string>{"vae"});
  CHECK(has(error_of(Kind::not_found, [&] { checkpoint.weights("vae", at::kFloat); }), "vae"));
}

TEST_CASE("attention of early diffusers") {
  const at::Tensor weight = at::rand({4, 4, 1, 1}), kept = at::rand({4, 4, 1, 1});
  const TensorMap renamed =
      early_attention_names({{"decoder.mid_block.attentions.0.query.weight", weight},
                             {"decoder.mid_block.attentions.0.key.weight", weight.flatten(1)},
                             {"decoder.mid_block.attentions.0.value.bias", at::rand({4})},
                             {"decoder.mid_block.attentions.0.proj_attn.weight", weight},
                             {"down_blocks.0.attentions.0.proj_in.weight", kept},
                             {"decoder.mid_block.attentions.0.group_norm.weight", at::rand({4})}});
  const Shapes expected = {{"decoder.mid_block.attentions.0.to_q.weight", {4, 4}},
                           {"decoder.mid_block.attentions.0.to_k.weight", {4, 4}},
                           {"decoder.mid_block.attentions.0.to_v.bias", {4}},
                           {"decoder.mid_block.attentions.0.to_out.0.weight", {4, 4}},
                           {"down_blocks.0.attentions.0.proj_in.weight", {4, 4, 1, 1}},
                           {"decoder.mid_block.attentions.0.group_norm.weight", {4}}};
  CHECK(difference(shapes_of(renamed), expected) == "");
  CHECK(renamed.at("decoder.mid_block.attentions.0.to_q.weight").is_alias_of(weight));
}
