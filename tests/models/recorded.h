// What a reference implementation answered, beside the network that is to answer so.
#pragma once

#include "models/config.h"
#include "support.h"

namespace longhand {

inline const fs::path golden = LONGHAND_TESTS "/golden";

/// A golden folder: its network, and the recorded tensors by name.
template <class Model, class Config>
struct Recorded {
  explicit Recorded(const char* name, const char* file = "diffusion_pytorch_model.safetensors")
      : weights(Weights::mapped({golden / name / file}, at::kFloat)),
        model(weights, Config::from_json(read_config(golden / name / "config.json"))),
        tensors(load_tensors(golden / name / "expected.safetensors")) {}
  const Tensor& operator[](const char* key) const { return tensors.at(key); }
  double error(const Tensor& answer, const char* key) const {
    return relative_error(answer, tensors.at(key));
  }

  Weights weights;
  Model model;
  TensorMap tensors;
};

}  // namespace longhand
