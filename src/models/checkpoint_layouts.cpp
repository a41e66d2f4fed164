#include "models/checkpoint_layouts.h"

#include <algorithm>
#include <regex>

#include "core/error.h"

namespace longhand {
namespace {

/// Patterns and what their matches become, applied one after the other.
using Renames = std::vector<std::pair<std::regex, const char*>>;

std::string renamed(std::string name, const Renames& renames) {
  for (const auto& [pattern, replacement] : renames) {
    name = std::regex_replace(name, pattern, replacement);
  }
  return name;
}

int number(const std::ssub_match& digits) { return std::stoi(digits.str()); }

/// A layer inside a residual block of the original UNet.
std::string original_resnet_name(const std::string& name) {
  static const Renames renames = {
      {std::regex("^in_layers[._]0"), "norm1"},
      {std::regex("^in_layers[._]2"), "conv1"},
      {std::regex("^emb_layers[._]1"), "time_emb_proj"},
      {std::regex("^out_layers[._]0"), "norm2"},
      {std::regex("^out_layers[._]3"), "conv2"},
      {std::regex("^skip_connection"), "conv_shortcut"},
  };
  return renamed(name, renames);
}

/// Residual blocks on the way down before the first change of resolution.
int layers_per_block(const TensorMap& original) {
  for (int i = 1; i < 16; ++i) {
    if (original.contains(fmt::format("input_blocks.{}.0.op.weight", i))) {
      return i - 1;
    }
  }
  return 2;
}

/// Levels that a tower has: one more than the highest number after "down." or "up.".
int levels(const TensorMap& tensors, const std::regex& numbered) {
  int count = 0;
  for (const auto& [name, tensor] : tensors) {
    if (std::smatch match; std::regex_search(name, match, numbered)) {
      count = std::max(count, number(match[2]) + 1);
    }
  }
  return count;
}

/// A 1×1 convolution's weight as a linear layer's; biases and linear weights as they are.
at::Tensor as_linear(const at::Tensor& weight) {
  const bool pointwise = weight.dim() > 2 && weight.numel() == weight.size(0) * weight.size(1);
  return pointwise ? weight.flatten(1) : weight;
}

}  // namespace

std::string original_unet_name(const std::string& name, int layers_per_block) {
  static const Renames outside = {
      {std::regex("^time_embed[._]0"), "time_embedding.linear_1"},
      {std::regex("^time_embed[._]2"), "time_embedding.linear_2"},
      {std::regex("^label_emb[._]0[._]0"), "add_embedding.linear_1"},
      {std::regex("^label_emb[._]0[._]2"), "add_embedding.linear_2"},
      {std::regex("^input_blocks[._]0[._]0"), "conv_in"},
      {std::regex("^out[._]0"), "conv_norm_out"},
      {std::regex("^out[._]2"), "conv_out"},
  };
  static const std::regex middle(R"(middle_block[._]([012])[._](.+))");
  static const std::regex side(R"((input|output)_blocks[._](\d{1,3})[._](\d)[._](.+))");
  std::smatch match;
  if (std::regex_match(name, match, middle)) {
    const int place = number(match[1]);
    return place == 1
               ? "mid_block.attentions.0." + match[2].str()
               : fmt::format("mid_block.resnets.{}.{}", place / 2, original_resnet_name(match[2]));
  }
  if (!std::regex_match(name, match, side) || name.starts_with("input_blocks.0.") ||
      name.starts_with("input_blocks_0_")) {
    return renamed(name, outside);
  }
  const bool down = match[1] == "input";
  const int block = number(match[2]) - (down ? 1 : 0), level = block / (layers_per_block + 1),
            layer = block % (layers_per_block + 1), part = number(match[3]);
  const std::string start = fmt::format("{}_blocks.{}.", down ? "down" : "up", level);
  const std::string rest = match[4];
  if (down && rest.starts_with("op")) {
    return start + "downsamplers.0.conv" + rest.substr(2);
  }
  if (!down && rest.starts_with("conv")) {
    return start + "upsamplers.0." + rest;
  }
  return part == 0 ? fmt::format("{}resnets.{}.{}", start, layer, original_resnet_name(rest))
                   : fmt::format("{}attentions.{}.{}", start, layer, rest);
}

TensorMap original_unet(TensorMap tensors) {
  TensorMap result;
  const int layers = layers_per_block(tensors);
  for (auto& [name, tensor] : tensors) {
    result[original_unet_name(name, layers)] = std::move(tensor);
  }
  return result;
}

TensorMap ddpm_names(TensorMap tensors) {
  static const Renames renames = {
      {std::regex(R"(^temb\.dense\.0\.)"), "time_embedding.linear_1."},
      {std::regex(R"(^temb\.dense\.1\.)"), "time_embedding.linear_2."},
      {std::regex(R"(\bnorm_out\.)"), "conv_norm_out."},
      {std::regex(R"(\bmid\.block_1\.)"), "mid_block.resnets.0."},
      {std::regex(R"(\bmid\.block_2\.)"), "mid_block.resnets.1."},
      {std::regex(R"(\bmid\.attn_1\.)"), "mid_block.attentions.0."},
      {std::regex(R"(\b(down|up)\.(\d+)\.block\.)"), "$1_blocks.$2.resnets."},
      {std::regex(R"(\b(down|up)\.(\d+)\.attn\.)"), "$1_blocks.$2.attentions."},
      {std::regex(R"(\b(down|up)\.(\d+)\.(down|up)sample\.)"), "$1_blocks.$2.$3samplers.0."},
      {std::regex(R"(\.nin_shortcut\.)"), ".conv_shortcut."},
      {std::regex(R"(\.temb_proj\.)"), ".time_emb_proj."},
      {std::regex(R"((\.attentions\.\d+)\.norm\.)"), "$1.group_norm."},
      {std::regex(R"((\.attentions\.\d+)\.([qkv])\.)"), "$1.to_$2."},
      {std::regex(R"((\.attentions\.\d+)\.proj_out\.)"), "$1.to_out.0."},
  };
  static const std::regex numbered(R"(^((?:decoder\.)?up\.)(\d{1,2})(\..+)$)");
  const int count = levels(tensors, numbered);
  TensorMap result;
  for (auto& [name, tensor] : tensors) {
    std::string source = name;
    if (std::smatch match; std::regex_match(name, match, numbered)) {  // numbered from the picture
      source = fmt::format("{}{}{}", match[1].str(), count - 1 - number(match[2]), match[3].str());
    }
    const std::string target = renamed(source, renames);
    const bool attention = target.find("attentions.") != std::string::npos;
    result[target] = attention ? as_linear(tensor) : std::move(tensor);
  }
  return result;
}

TensorMap open_clip_text(TensorMap tensors) {
  static const Renames renames = {
      {std::regex(R"(^token_embedding\.)"), "text_model.embeddings.token_embedding."},
      {std::regex(R"(^positional_embedding$)"), "text_model.embeddings.position_embedding.weight"},
      {std::regex(R"(^ln_final\.)"), "text_model.final_layer_norm."},
      {std::regex(R"(^text_projection$)"), "text_projection.weight"},
      {std::regex(R"(^transformer\.resblocks\.)"), "text_model.encoder.layers."},
      {std::regex(R"(\.ln_([12])\.)"), ".layer_norm$1."},
      {std::regex(R"(\.mlp\.c_fc\.)"), ".mlp.fc1."},
      {std::regex(R"(\.mlp\.c_proj\.)"), ".mlp.fc2."},
      {std::regex(R"(\.attn\.)"), ".self_attn."},
  };
  static const std::regex joined(R"((.+\.)in_proj_(weight|bias))");
  TensorMap result;
  for (auto& [name, tensor] : tensors) {
    const std::string target = renamed(name, renames);
    if (std::smatch match; std::regex_match(target, match, joined)) {
      if (tensor.dim() == 0 || tensor.size(0) % 3 != 0) {
        fail(Kind::corrupt, "{} is [{}]; expected query, key and value one below the other", name,
             fmt::join(tensor.sizes(), ", "));
      }
      const auto parts = tensor.chunk(3, 0);
      for (int i = 0; i < 3; ++i) {
        result[fmt::format("{}{}_proj.{}", match[1].str(), "qkv"[i], match[2].str())] = parts[i];
      }
    } else {
      result[target] = name == "text_projection" && tensor.dim() == 2 ? tensor.t() : tensor;
    }
  }
  return result;
}

TensorMap open_clip_text_penultimate(TensorMap tensors) {
  static const std::regex numbered(R"(^(transformer\.resblocks\.)(\d{1,3})\.)");
  const std::string last = fmt::format("transformer.resblocks.{}.", levels(tensors, numbered) - 1);
  std::erase_if(tensors, [&](const auto& entry) {
    return entry.first.starts_with(last) || entry.first == "text_projection";
  });
  return open_clip_text(std::move(tensors));
}

TensorMap early_attention_names(TensorMap tensors) {
  static const Renames renames = {
      {std::regex(R"((\.attentions\.\d+)\.query\.)"), "$1.to_q."},
      {std::regex(R"((\.attentions\.\d+)\.key\.)"), "$1.to_k."},
      {std::regex(R"((\.attentions\.\d+)\.value\.)"), "$1.to_v."},
      {std::regex(R"((\.attentions\.\d+)\.proj_attn\.)"), "$1.to_out.0."},
  };
  TensorMap result;
  for (auto& [name, tensor] : tensors) {
    const std::string target = renamed(name, renames);
    result[target] = target == name ? std::move(tensor) : as_linear(tensor);
  }
  return result;
}

}  // namespace longhand
