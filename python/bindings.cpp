// The Python module: lengthening and painting, with NumPy's arrays out. The interpreter's lock is
// released while they work, and the project's errors become Python's.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/fields.h"
#include "core/log.h"
#include "core/memory.h"
#include "io/hub_catalogue.h"
#include "nn/torch_error.h"
#include "pipeline/draw.h"
#include "pipeline/language_models.h"
#include "text/sentences.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace longhand {
namespace {

/// A request whose values are all within their ranges, as the command line sees to.
template <class Request>
const Request& checked(const Request& request) {
  validate(request);
  return request;
}

/// Lengthens by one loaded model. Re-entrant.
class PythonUpsampler {
 public:
  explicit PythonUpsampler(const UpsampleRequest& request)
      : upsampler_(load_language_model(checked(request)), Template::load(request.prompt_template),
                   request) {}

  std::vector<Caption> upsample(const std::vector<std::string>& prompts,
                                const std::optional<std::vector<std::int64_t>>& numbers) const {
    if (numbers && (numbers->size() != prompts.size() ||
                    std::ranges::adjacent_find(*numbers, std::greater_equal()) != numbers->end())) {
      fail(Kind::invalid_argument, "{} prompts and {} numbers; expected a growing number for each",
           prompts.size(), numbers->size());
    }
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      check_prompt(prompts[i], fmt::format("prompts[{}]", i));
    }
    std::size_t next = 0;
    std::vector<Caption> captions;
    upsampler_.upsample(
        [&]() -> std::optional<UpsampleRow> {
          if (next == prompts.size()) {
            return std::nullopt;
          }
          const auto number = numbers ? (*numbers)[next] : static_cast<std::int64_t>(next);
          return UpsampleRow{
              .prompt = prompts[next++], .category = "", .turns = {}, .number = number};
        },
        [&](const Caption& caption) { captions.push_back(caption); });
    return captions;
  }

 private:
  Upsampler upsampler_;
};

using Pictures = nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<4>>;

/// [n, height, width, 3], of memory that Python then owns.
Pictures array_of(const std::vector<Image>& images) {
  const std::size_t size = images.front().pixels.size();
  auto* pixels = new std::uint8_t[size * images.size()];
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::ranges::copy(images[i].pixels, pixels + i * size);
  }
  const nb::capsule owner(pixels,
                          [](void* data) noexcept { delete[] static_cast<std::uint8_t*>(data); });
  return {pixels,
          {images.size(), static_cast<std::size_t>(images.front().height),
           static_cast<std::size_t>(images.front().width), 3},
          owner};
}

/// Paints with one loaded model. Re-entrant.
class PythonPainter {
 public:
  explicit PythonPainter(const PaintRequest& request)
      : request_(request),
        defaults_(ModelDefaults::of(resolve_model(request.model))),
        painter_(load_painter(checked(request))) {}

  std::vector<Image> paint(const std::vector<std::string>& captions,
                           const std::vector<std::int64_t>& seeds, PaintRequest request) const {
    if (captions.empty() || captions.size() != seeds.size()) {
      fail(Kind::invalid_argument, "{} captions and {} seeds; expected one seed for each caption",
           captions.size(), seeds.size());
    }
    request.model = request_.model;
    request.seed = seeds.front();
    validate(request);
    resolve(request, defaults_, painter_);
    require_text(painter_, request);
    std::vector<Order> orders;
    for (std::size_t i = 0; i < captions.size(); ++i) {
      orders.push_back({.caption = captions[i], .seed = seeds[i]});
    }
    return painter_.paint(orders, painting_of(request));
  }

 private:
  PaintRequest request_;
  ModelDefaults defaults_;
  Painter painter_;
};

void raise(const Error& error, nb::handle own) {
  PyObject* type = own.ptr();
  switch (error.kind()) {
    case Kind::invalid_argument:
    case Kind::corrupt:
      type = PyExc_ValueError;
      break;
    case Kind::not_found:
      type = PyExc_FileNotFoundError;
      break;
    case Kind::out_of_memory:
      type = PyExc_MemoryError;
      break;
    case Kind::cancelled:
      type = PyExc_KeyboardInterrupt;
      break;
    default:
      break;
  }
  PyErr_SetString(type, error.what());
}

void bind_errors(nb::module_& module) {
  static nb::handle own = nb::exception<Error>(module, "Error").release();
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      raise(error, own);
    } catch (const c10::Error& error) {
      raise(house_error(error), own);
    }
  });
}

void bind_upsampler(nb::module_& module) {
  nb::class_<Caption>(module, "Caption", "A prompt, and what it was lengthened to.")
      .def_ro("prompt", &Caption::prompt)
      .def_ro("caption", &Caption::caption)
      .def_ro("tokens", &Caption::tokens, "the painter's CLIP tokens, with the two marks")
      .def_ro("score", &Caption::score, "0 to 1: what of the prompt it keeps")
      .def_ro("lost", &Caption::lost, "what the prompt asked for and it lacks")
      .def("__repr__", [](const Caption& c) { return fmt::format("Caption({:?})", c.caption); });
  const UpsampleRequest usual;
  nb::class_<PythonUpsampler>(module, "Upsampler",
                              "Lengthens prompts into captions that fit a painter's text encoder.")
      .def(
          "__init__",
          [](PythonUpsampler* self, const std::string& llm, const std::string& prompt_template,
             int candidates, int max_tokens, std::int64_t seed, std::optional<double> temperature,
             const std::string& engine, const std::string& llm_dtype, std::optional<int> batch,
             bool deterministic) {
            UpsampleRequest request;
            request.llm = llm;
            request.prompt_template = prompt_template;
            request.candidates = candidates;
            request.max_tokens = max_tokens;
            request.seed = seed;
            request.temperature = temperature;
            request.engine = engine;
            request.llm_dtype = llm_dtype;
            request.batch = batch;
            request.deterministic = deterministic;
            const nb::gil_scoped_release released;
            new (self) PythonUpsampler(request);
          },
          "llm"_a = "", "template"_a = usual.prompt_template, nb::kw_only(),
          "candidates"_a = usual.candidates, "max_tokens"_a = usual.max_tokens,
          "seed"_a = usual.seed, "temperature"_a = nb::none(), "engine"_a = usual.engine,
          "llm_dtype"_a = usual.llm_dtype, "batch"_a = nb::none(), "deterministic"_a = false,
          "Loads the language model: a GGUF file, an endpoint's http://…/v1, or \"\" for the "
          "default. The "
          "arguments are those of `longhand upsample --help`.")
      .def("upsample", &PythonUpsampler::upsample, "prompts"_a, "numbers"_a = nb::none(),
           nb::call_guard<nb::gil_scoped_release>(),
           "Captions in the prompts' order. `numbers`: the prompts' numbers in their table, "
           "growing; what is random "
           "about a prompt belongs to its number.");
}

void bind_painter(nb::module_& module) {
  nb::class_<PythonPainter>(module, "Painter", "Paints captions with one of the models.")
      .def(
          "__init__",
          [](PythonPainter* self, const std::string& model, const std::string& dtype,
             const std::string& device, const std::vector<std::string>& lora) {
            PaintRequest request;
            request.model = model;
            request.dtype = dtype;
            request.device = device;
            request.lora = lora;
            const nb::gil_scoped_release released;
            new (self) PythonPainter(request);
          },
          "model"_a = "pocket", nb::kw_only(), "dtype"_a = "auto", "device"_a = "auto",
          "lora"_a = std::vector<std::string>(),
          "Loads a model: a name that `longhand models` lists, ORG/NAME, a folder or a checkpoint.")
      .def(
          "paint",
          [](const PythonPainter& self, const std::vector<std::string>& captions,
             const std::vector<std::int64_t>& seeds, std::optional<int> steps,
             std::optional<double> guidance, std::optional<std::pair<int, int>> size,
             const std::string& scheduler, std::optional<std::string> negative_prompt,
             int best_of) {
            PaintRequest request;
            request.steps = steps;
            request.guidance = guidance;
            if (size) {
              request.size = Size{size->first, size->second};
            }
            request.scheduler = scheduler;
            request.negative_prompt = std::move(negative_prompt);
            request.best_of = best_of;
            std::vector<Image> images;
            {
              const nb::gil_scoped_release released;
              images = self.paint(captions, seeds, request);
            }
            return array_of(images);
          },
          "captions"_a, "seeds"_a, nb::kw_only(), "steps"_a = nb::none(), "guidance"_a = nb::none(),
          "size"_a = nb::none(), "scheduler"_a = "", "negative_prompt"_a = nb::none(),
          "best_of"_a = 1,
          "Pictures [n, height, width, 3], uint8, a caption and a seed each, painted in one batch: "
          "those of "
          "`longhand draw --no-upsample` with the same seeds.");
}

}  // namespace
}  // namespace longhand

NB_MODULE(_longhand, module) {
  longhand::keep_freed_memory(true);
  longhand::init_log();
  longhand::bind_errors(module);
  longhand::bind_upsampler(module);
  longhand::bind_painter(module);
}
