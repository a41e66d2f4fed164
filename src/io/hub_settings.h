// What the environment says about Hugging Face's hub, read as huggingface_hub reads it
// (huggingface_hub/constants.py and utils/_auth.py).
#pragma once

#include <string>

#include "core/files.h"

namespace longhand {

struct HubSettings {
  fs::path cache;        // HF_HUB_CACHE, else hub/ of HF_HOME, else of ~/.cache/huggingface
  std::string endpoint;  // HF_ENDPOINT, without a slash at its end
  std::string token;     // HF_TOKEN, else the file that `hf auth login` stores; "" for none
  bool offline = false;  // HF_HUB_OFFLINE: nothing is asked of the hub

  /// Throws invalid_argument for a token that no header can carry.
  static HubSettings from_environment();
};

}  // namespace longhand
