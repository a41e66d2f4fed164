// io/hub*: which files are taken, where the cache keeps them, hashes, addresses.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>

#include "core/error.h"
#include "io/hub_cache.h"
#include "io/hub_catalogue.h"
#include "io/hub_digest.h"
#include "io/hub_http.h"
#include "io/hub_partial.h"
#include "io/hub_selection.h"
#include "io/hub_settings.h"

using namespace longhand;

namespace {

using Names = std::vector<std::string>;

const auto never = [] { return false; };

std::vector<HubFile> files_of(const Names& names) {
  std::vector<HubFile> files;
  for (const std::string& name : names) {
    files.push_back({name, 1, ""});
  }
  return files;
}

Names chosen(const Names& names, const nlohmann::json& index = {},
             const SelectionRequest& request = {}) {
  Names paths;
  for (const HubFile& file : select_files(files_of(names), index, request).files) {
    paths.push_back(file.path);
  }
  return paths;
}

/// Sets variables of the environment and gives them back.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& values) {
    for (const char* name :
         {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN",
          "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE",
          "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "HOME"}) {
      const char* old = std::getenv(name);
      old_[name] = old == nullptr ? std::nullopt : std::optional<std::string>(old);
      unsetenv(name);
    }
    for (const auto& [name, value] : values) {
      setenv(name.c_str(), value.c_str(), 1);
    }
  }
  ~Environment() {
    for (const auto& [name, value] : old_) {
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
    }
  }

 private:
  std::map<std::string, std::optional<std::string>> old_;
};

struct Scratch {
  Scratch() {
    std::string name = (fs::temp_directory_path() / "longhand-hub-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
  }
  ~Scratch() { fs::remove_all(folder); }
  fs::path folder;
};

const Names sdxl = {"README.md",
                    "model_index.json",
                    "sd_xl_base_1.0.safetensors",
                    "scheduler/scheduler_config.json",
                    "text_encoder/config.json",
                    "text_encoder/flax_model.msgpack",
                    "text_encoder/model.fp16.safetensors",
                    "text_encoder/model.onnx",
                    "text_encoder/model.safetensors",
                    "text_encoder/openvino_model.bin",
                    "text_encoder/openvino_model.xml",
                    "text_encoder/pytorch_model.bin",
                    "tokenizer/merges.txt",
                    "tokenizer/special_tokens_map.json",
                    "tokenizer/vocab.json",
                    "unet/config.json",
                    "unet/diffusion_pytorch_model.fp16.safetensors",
                    "unet/diffusion_pytorch_model.non_ema.safetensors",
                    "unet/diffusion_pytorch_model.safetensors",
                    "vae_1_0/config.json",
                    "vae_1_0/diffusion_pytorch_model.safetensors"};

const auto sdxl_index = nlohmann::json::parse(R"({
  "_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": true,
  "feature_extractor": [null, null], "scheduler": ["diffusers", "EulerDiscreteScheduler"],
  "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
  "unet": ["diffusers", "UNet2DConditionModel"]})");

}  // namespace

TEST_CASE("of a diffusers folder, the named components' safetensors and configs") {
  CHECK(chosen(sdxl, sdxl_index) ==
        Names{"model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json",
              "text_encoder/model.safetensors", "tokenizer/merges.txt",
              "tokenizer/special_tokens_map.json", "tokenizer/vocab.json", "unet/config.json",
              "unet/diffusion_pytorch_model.safetensors"});
}

TEST_CASE("painting does without the safety checker") {
  const auto index = nlohmann::json::parse(
      R"({"safety_checker": ["stable_diffusion", "S"], "unet": ["diffusers", "U"]})");
  const Names pickled = {"model_index.json", "safety_checker/config.json",
                         "safety_checker/pytorch_model.bin", "unet/config.json",
                         "unet/diffusion_pytorch_model.safetensors"};
  CHECK(chosen(pickled, index) ==
        Names{"model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"});
}

TEST_CASE("a variant is taken where it is there") {
  const Names fp16 = chosen(sdxl, sdxl_index, {"fp16", {}, {}});
  CHECK(std::ranges::count(fp16, "unet/diffusion_pytorch_model.fp16.safetensors") == 1);
  CHECK(std::ranges::count(fp16, "unet/diffusion_pytorch_model.safetensors") == 0);
  CHECK_THROWS_WITH_AS(chosen(sdxl, sdxl_index, {"bf16", {}, {}}), doctest::Contains("fp16"),
                       Error);

  const auto index =
      nlohmann::json::parse(R"({"unet": ["diffusers", "U"], "vae": ["diffusers", "V"]})");
  const Names mixed = {"model_index.json", "unet/config.json",
                       "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json",
                       "vae/diffusion_pytorch_model.safetensors"};
  const Selection plain = select_files(files_of(mixed), index, {});
  CHECK(plain.files.size() == 5);
  REQUIRE(plain.notes.size() == 1);
  CHECK(plain.notes[0] == "unet has no plain weights: taking its weights of the variant fp16");
  const Selection half = select_files(files_of(mixed), index, {"fp16", {}, {}});
  REQUIRE(half.notes.size() == 1);
  CHECK(half.notes[0] == "vae has no weights of the variant fp16: taking its plain weights");
}

TEST_CASE("shards and their index are of one variant") {
  const auto index = nlohmann::json::parse(R"({"unet": ["diffusers", "U"]})");
  const Names all = {"model_index.json",
                     "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
                     "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
                     "unet/diffusion_pytorch_model.bin.index.json",
                     "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
                     "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
                     "unet/diffusion_pytorch_model.safetensors.index.json"};
  CHECK(chosen(all, index) == Names{all[0], all[1], all[2], all[6]});
  CHECK(chosen(all, index, {"fp16", {}, {}}) == Names{all[0], all[4], all[5]});
}

TEST_CASE("components without a folder lie in the root") {
  const auto index = nlohmann::json::parse(
      R"({"scheduler": ["diffusers", "DDPMScheduler"], "unet": ["diffusers", "UNet2DModel"]})");
  const Names all = {"README.md",
                     "config.json",
                     "diffusion_pytorch_model.bin",
                     "diffusion_pytorch_model.safetensors",
                     "model_index.json",
                     "scheduler_config.json"};
  CHECK(chosen(all, index) == Names{all[1], all[3], all[4], all[5]});
}

TEST_CASE("repositories without model_index.json") {
  CHECK(chosen({"README.md", "pytorch_lora_weights.safetensors", "image.png"}) ==
        Names{"pytorch_lora_weights.safetensors"});
  CHECK(chosen({"style_v1.0.safetensors", "style.ckpt"}) == Names{"style_v1.0.safetensors"});
  CHECK(chosen({"config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors",
                "taesd_decoder.pth", "taesd_decoder.safetensors"}) ==
        Names{"config.json", "diffusion_pytorch_model.safetensors"});
  CHECK(chosen({"a.Q4_K_M.gguf", "README.md"}) == Names{"a.Q4_K_M.gguf"});
}

TEST_CASE("a choice that has to be made, and what is never taken") {
  const Names gguf = {"a.Q4_K_M.gguf", "a.Q8_0.gguf"};
  CHECK_THROWS_WITH_AS(chosen(gguf), doctest::Contains("a.Q8_0.gguf"), Error);
  CHECK(chosen(gguf, {}, {"", {}, {"*Q4_K_M*"}}) == Names{"a.Q4_K_M.gguf"});
  CHECK(chosen(gguf, {}, {"", {"a.Q8_0.gguf"}, {"*Q8*"}}) == Names{"a.Q8_0.gguf"});
  CHECK_THROWS_WITH_AS(chosen(gguf, {}, {"", {"b.gguf"}, {}}), doctest::Contains("b.gguf"), Error);
  CHECK_THROWS_WITH_AS(chosen(gguf, {}, {"", {}, {"*Q5*"}}), doctest::Contains("*Q5*"), Error);
  CHECK_THROWS_WITH_AS(chosen({"pytorch_model.bin", "config.json"}), doctest::Contains("pickles"),
                       Error);
  CHECK_THROWS_WITH_AS(chosen({"m.ckpt"}, {}, {"", {"m.ckpt"}, {}}), doctest::Contains("pickles"),
                       Error);
  CHECK_THROWS_WITH_AS(
      chosen({"model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.bin"},
             nlohmann::json::parse(R"({"unet": ["diffusers", "U"]})")),
      doctest::Contains("unet/ has its weights only as pickles"), Error);
  CHECK_THROWS_WITH_AS(chosen({"README.md"}), doctest::Contains("--file"), Error);
}

TEST_CASE("the environment is read as huggingface_hub reads it") {
  {
    const Environment environment({{"HOME", "/h"}});
    const HubSettings settings = HubSettings::from_environment();
    CHECK(settings.cache == "/h/.cache/huggingface/hub");
    CHECK(settings.endpoint == "https://huggingface.co");
    CHECK(settings.token.empty());
    CHECK(!settings.offline);
  }
  {
    const Environment environment({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}});
    CHECK(HubSettings::from_environment().cache == "/x/huggingface/hub");
  }
  {
    const Environment environment({{"HOME", "/h"}, {"HF_HOME", "~/hf"}, {"HF_HUB_OFFLINE", "yes"}});
    CHECK(HubSettings::from_environment().cache == "/h/hf/hub");
    CHECK(HubSettings::from_environment().offline);
  }
  {
    const Environment environment({{"HOME", "/h"},
                                   {"HF_HOME", "/hf"},
                                   {"HF_HUB_CACHE", "$HOME/${HOME}x/$none"},
                                   {"HF_ENDPOINT", "http://hub:1/"},
                                   {"HF_TOKEN", " hf_a\n"}});
    const HubSettings settings = HubSettings::from_environment();
    CHECK(settings.cache == "/h//hx/$none");
    CHECK(settings.endpoint == "http://hub:1");
    CHECK(settings.token == "hf_a");
  }
  const Scratch scratch;
  write_file_atomically(scratch.folder / "token", "hf_stored\n");
  const Environment environment({{"HF_HOME", scratch.folder}});
  CHECK(HubSettings::from_environment().token == "hf_stored");
  setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
  CHECK(HubSettings::from_environment().token.empty());
  unsetenv("HF_HUB_DISABLE_IMPLICIT_TOKEN");
  setenv("HF_TOKEN", "a\r\nX-Evil: 1", 1);
  CHECK_THROWS_AS(HubSettings::from_environment(), Error);
}

TEST_CASE("the cache's paths and links") {
  const Scratch scratch;
  const RepositoryCache cache(scratch.folder, "org/na-me_1.0");
  const fs::path folder = scratch.folder / "models--org--na-me_1.0";
  const std::string commit(40, 'a'), etag(64, 'b');
  CHECK(cache.blob(etag) == folder / "blobs" / etag);
  CHECK(cache.lock_file(etag) ==
        scratch.folder / ".locks" / "models--org--na-me_1.0" / (etag + ".lock"));
  CHECK(!cache.find("main"));
  write_file_atomically(cache.blob(etag), "x");
  cache.link(commit, "unet/config.json", etag);
  cache.link(commit, "unet/config.json", etag);
  CHECK(fs::read_symlink(folder / "snapshots" / commit / "unet" / "config.json") ==
        fs::path("../../../blobs") / etag);
  CHECK(read_file(folder / "snapshots" / commit / "unet" / "config.json") == "x");
  CHECK(!cache.find("main"));  // not named: the download was broken off
  cache.name("main", commit);
  CHECK(read_file(folder / "refs" / "main") == commit);
  CHECK(cache.find("main") == folder / "snapshots" / commit);
  CHECK(cache.find(commit) == folder / "snapshots" / commit);
  CHECK(!cache.find(std::string(40, 'c')));
  write_file_atomically(folder / "refs" / "odd", "../../../etc");
  CHECK(!cache.find("odd"));
}

TEST_CASE("names that lead out of the cache are refused") {
  for (const char* name :
       {"", "name", "a/b/c", "../x", "a/..", "a--b/c", "-a/b", "a/b.", "a b/c"}) {
    CHECK_MESSAGE(!is_repository_name(name), name);
  }
  CHECK(is_repository_name("stabilityai/stable-diffusion-xl-base-1.0"));
  for (const char* path : {"", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\nb", "a/./b"}) {
    CHECK_THROWS_AS(check_repository_path(path), Error);
  }
  check_repository_path("refs/pr/1");
}

TEST_CASE("a component that model_index.json names and that is missing") {
  const Scratch scratch;
  CHECK(missing_component(scratch.folder).empty());
  write_file_atomically(scratch.folder / "model_index.json", sdxl_index.dump());
  for (const char* component : {"scheduler", "text_encoder", "tokenizer"}) {
    fs::create_directory(scratch.folder / component);
  }
  CHECK(missing_component(scratch.folder) == "unet");
  fs::create_directory(scratch.folder / "unet");
  CHECK(missing_component(scratch.folder).empty());
}

TEST_CASE("hashes as the hub names files by them") {
  // `git hash-object` and `sha256sum` of "Hello, World!".
  const std::string git = "b45ef6fec89518d314f546fd6c3025367b721684";
  const std::string sha = "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f";
  for (const std::string& etag : {git, sha}) {
    Digest digest(etag, 13);
    digest.add("Hello, ");
    digest.add("World!");
    CHECK(digest.matches());
    Digest other(etag, 13);
    other.add("Hello, World?");
    CHECK(!other.matches());
  }
  CHECK(is_digest(git));
  CHECK(!is_digest("../" + sha.substr(3)));
}

TEST_CASE("a blob goes on where an earlier run left it, and only the right one takes its place") {
  const Scratch scratch;
  const HubFile file{"x", 13, "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f"};
  const fs::path blob = scratch.folder / file.etag;
  {
    PartialBlob(blob, file, never).append("Hello, ");
  }
  CHECK(PartialBlob::size_of(blob) == 7);
  {
    PartialBlob part(blob, file, never);
    CHECK(part.size() == 7);
    CHECK_THROWS_AS(part.append("World! and more"), Error);
    part.append("World!");
    CHECK(part.whole());
    CHECK(part.finish());
  }
  CHECK(read_file(blob) == "Hello, World!");
  fs::remove(blob);
  write_file_atomically(blob.string() + ".incomplete", "longer than the whole file is");
  {
    PartialBlob part(blob, file, never);
    CHECK(part.size() == 0);
    part.append("Hello, World?");
    CHECK(!part.finish());
  }
  CHECK(!fs::exists(blob));
  CHECK(PartialBlob::size_of(blob) == 0);
}

TEST_CASE("addresses") {
  CHECK(joined_url("http://a/x/y", "/z?q=1") == "http://a/z?q=1");
  CHECK(joined_url("http://a/x/y", "https://b/c") == "https://b/c");
  CHECK(same_origin("http://a/x", "http://a:80/y"));
  CHECK(same_origin("https://A/x", "https://a"));
  CHECK(!same_origin("http://a/x", "https://a/x"));
  CHECK(!same_origin("http://a/x", "http://a:81/x"));
  CHECK(!same_origin("http://a.b/x", "http://a.b.evil/x"));
  CHECK(!same_origin("not an address", "not an address"));
  CHECK(quoted_url("refs/pr/1", false) == "refs%2Fpr%2F1");
  CHECK(quoted_url("a b/ü", true) == "a%20b/%C3%BC");
}

TEST_CASE("sizes for people") {
  CHECK(human_bytes(-1) == "?");
  CHECK(human_bytes(312) == "312 B");
  CHECK(human_bytes(9793292) == "9.79 MB");
  CHECK(human_bytes(13875688436) == "13.9 GB");
  CHECK(human_bytes(455000000) == "455 MB");
  CHECK(human_bytes(999999) == "1.00 MB");
}

TEST_CASE("a model's name becomes its folder") {
  const Scratch scratch;
  const Environment environment({{"HF_HUB_CACHE", scratch.folder / "hub"}});
  CHECK(resolve_model(scratch.folder) == scratch.folder);
  CHECK(resolve_model("pocket") == home() / "models" / "pocket");
  CHECK_THROWS_WITH_AS(resolve_model("sdxl"), doctest::Contains("longhand pull sdxl"), Error);
  CHECK_THROWS_WITH_AS(resolve_model("org/name@v1"), doctest::Contains("longhand pull org/name@v1"),
                       Error);
  CHECK_THROWS_WITH_AS(resolve_model("nothing"), doctest::Contains("longhand models"), Error);

  const RepositoryCache cache(scratch.folder / "hub", "org/name");
  const std::string commit(40, 'a');
  fs::create_directories(cache.snapshot(commit) / "unet");
  cache.name("main", commit);
  cache.name("v1", commit);
  CHECK(resolve_model("org/name") == cache.snapshot(commit));
  CHECK(resolve_model("org/name@v1") == cache.snapshot(commit));
  write_file_atomically(cache.snapshot(commit) / "model_index.json", sdxl_index.dump());
  CHECK_THROWS_WITH_AS(resolve_model("org/name"), doctest::Contains("not whole"), Error);
}

TEST_CASE("the catalogue is in order") {
  CHECK(catalogue().size() > 10);
  for (const CatalogueRow& row : catalogue()) {
    INFO(row.name);
    CHECK(row.path.empty() == is_repository_name(row.repository));
    CHECK(!row.does.empty());
    CHECK(find_in_catalogue(row.name).has_value());
  }
}
