#include "pipeline/picture_record.h"

#include "core/error.h"
#include "core/version.h"
#include "diffusion/scheduler.h"

namespace longhand {
namespace {

constexpr const char* own_key = "longhand";

nlohmann::json to_json(const PictureRecord& record) {
  nlohmann::json json = request_to_json(record.request);
  json["prompt"] = record.request.prompt;
  json["caption"] = record.caption;
  json["llm_name"] = record.llm;
  json["template_name"] = record.prompt_template;
  json["index"] = record.index;
  json["version"] = version;
  if (!record.edit.is_null()) {
    json["edit"] = record.edit;
  }
  if (!record.embedding.is_null()) {
    json["embedding"] = record.embedding;
  }
  return json;
}

}  // namespace

std::string a1111_parameters(const PictureRecord& record) {
  const DrawRequest& request = record.request;
  const Size size = request.size.value_or(Size{});
  const std::string unwanted = request.negative_prompt.value_or("");
  const std::string strength =
      record.edit.is_null()
          ? ""
          : fmt::format(", Denoising strength: {:.6g}", record.edit.value("strength", 0.0));
  return fmt::format(
      "{}{}\nSteps: {}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {}x{}, Model: {}{}, Version: "
      "Longhand {}",
      record.caption, unwanted.empty() ? "" : "\nNegative prompt: " + unwanted,
      request.steps.value_or(0), sampler_label(request.scheduler), request.guidance.value_or(1),
      request.seed.value_or(0) + record.index, size.width, size.height,
      fs::path(request.model).filename().string(), strength, version);
}

ImageText picture_text(const PictureRecord& record) {
  return {
      {"parameters", a1111_parameters(record)},
      {own_key, to_json(record).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}};
}

PictureRecord picture_record(const ImageText& text, const std::string& name) {
  for (const auto& [key, value] : text) {
    if (key != own_key) {
      continue;
    }
    const nlohmann::json json = nlohmann::json::parse(value, nullptr, false);
    if (!json.is_object()) {
      fail(Kind::corrupt, "{}: its text \"{}\" is not a JSON object", name, own_key);
    }
    PictureRecord record;
    record.request = request_from_json<DrawRequest>(json);
    try {
      record.request.prompt = json.at("prompt");
      record.caption = json.at("caption");
      record.llm = json.at("llm_name");
      record.prompt_template = json.at("template_name");
      record.index = json.at("index");
      record.edit = json.value("edit", nlohmann::json());
      if (!record.edit.is_null()) {
        record.edit.at("strength").get<double>();
        record.edit.at("picture").get<std::string>();
      }
      record.embedding = json.value("embedding", nlohmann::json());
      if (!record.embedding.is_null()) {
        record.embedding.at("command").get<std::string>();
        record.embedding.at("inputs").get<std::vector<std::string>>();
      }
    } catch (const nlohmann::json::exception& error) {
      fail(Kind::corrupt, "{}: its text \"{}\" is broken: {}", name, own_key, error.what());
    }
    return record;
  }
  fail(Kind::invalid_argument, "{} was not painted by longhand: it has no text \"{}\"", name,
       own_key);
}

}  // namespace longhand
