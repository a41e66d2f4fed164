#include "models/strips.h"

#include <algorithm>

#include "core/log.h"
#include "core/memory.h"
#include "nn/fused.h"

namespace longhand {
namespace {

using std::int64_t;

/// Bytes; 512 channels in float32 and the rows beyond. Clearing each strip's pages anew takes the
/// kernel an eighth to a quarter of the time.
constexpr int64_t largest_strip = 80 << 20;

/// A map [1, channels, height, width] that gives any of its rows, [1, channels, end - begin,
/// width].
struct RowMap {
  int64_t height, width;
  std::function<Tensor(int64_t begin, int64_t end)> rows;
  Tensor stored = {};  // the whole, where it lies in memory
  /// Is told, where there is one, that rows before `end` are not asked for again.
  std::function<void(int64_t end)> forget = {};
};

RowMap stored(const Tensor& map) {
  return {map.size(2), map.size(3),
          [map](int64_t begin, int64_t end) { return map.narrow(2, begin, end - begin); }, map};
}

/// Rows [begin, end) of a map, and those beyond that a 3×3 convolution reaches.
struct Window {
  Window(const RowMap& x, int64_t begin, int64_t end)
      : begin(begin),
        end(end),
        first(std::max<int64_t>(begin - 1, 0)),
        rows(x.rows(first, std::min(end + 1, x.height))) {}
  /// Of a map of the window's rows those from begin to end.
  Tensor own(const Tensor& map) const { return map.narrow(2, begin - first, end - begin); }

  int64_t begin, end, first;
  Tensor rows;
};

/// Gives back the memory of a map's rows before `end`.
void forget_rows(const Tensor& map, int64_t end) {
  if (map.defined() && end > 0 && map.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    forget_pages({static_cast<const std::byte*>(map.const_data_ptr()),
                  map.narrow(2, 0, std::min(end, map.size(2))).nbytes()});
  }
}

/// What 3×3 convolution makes of a map.
RowMap convolved(const Conv2d& conv, const RowMap& x) {
  return {x.height, x.width, [&conv, x](int64_t begin, int64_t end) {
            const Window window(x, begin, end);
            return window.own(conv.forward(window.rows));
          }};
}

/// Of a map that nothing else reads.
RowMap upsampled(const Upsample2D& layer, const RowMap& x) {
  return {2 * x.height,
          2 * x.width,
          [&layer, x](int64_t begin, int64_t end) {
            const int64_t first = std::max<int64_t>(begin - 1, 0) / 2;
            const Tensor rows = x.rows(first, std::min(end / 2 + 1, x.height));
            return layer.forward(rows).narrow(2, begin - 2 * first, end - begin);
          },
          {},
          [x](int64_t end) { forget_rows(x.stored, (end - 1) / 2); }};
}

/// The encoder's, which pads below and to the right only; of a map that nothing else reads.
RowMap downsampled(const Downsample2D& layer, const RowMap& x) {
  return {x.height / 2,
          x.width / 2,
          [&layer, x](int64_t begin, int64_t end) {
            return layer.forward(x.rows(2 * begin, std::min(2 * end + 1, x.height)));
          },
          {},
          [x](int64_t end) { forget_rows(x.stored, 2 * end); }};
}

/// Calls body(begin, end) for each strip of a map's rows.
template <class Body>
void each_strip(const RowMap& x, int64_t strip_pixels, const Body& body) {
  const int64_t rows = std::max(strip_pixels / x.width, least_strip_rows);
  for (int64_t begin = 0; begin < x.height; begin += rows) {
    body(begin, std::min(begin + rows, x.height));
  }
}

/// Writes rows into a map, which is made for the first of them.
void put(Tensor& map, int64_t height, int64_t begin, const Tensor& rows) {
  if (!map.defined()) {
    map = at::empty({1, rows.size(1), height, rows.size(3)},
                    rows.options().memory_format(at::MemoryFormat::ChannelsLast));
  }
  map.narrow(2, begin, rows.size(2)).copy_(rows);
}

/// True where the kernels of nn/fused.h take these rows.
bool fused(const Tensor& rows) {
  return fuses(rows, rows.size(1)) && rows.is_contiguous(at::MemoryFormat::ChannelsLast);
}

/// SiLU of a map's norm, whose statistics are those of the whole map.
class StripNorm {
 public:
  StripNorm(const SpatialNorm& norm, const RowMap& x, const Tensor& latents, int64_t strip_pixels)
      : norm_(norm) {
    Tensor moments;
    each_strip(x, strip_pixels, [&](int64_t begin, int64_t end) {
      const Tensor part = moments_of(x.rows(begin, end));
      moments = moments.defined() ? moments + part : part;
    });
    const GroupNorm& group = norm.norm_layer;
    affine_ = group_norm_affine(moments, x.height * x.width, group.groups, group.weight, group.bias,
                                group.epsilon);
    if (norm.conv_y) {
      latents_ = at::upsample_nearest2d(latents, {x.height, x.width});
    }
  }

  /// Of rows that begin at `first`.
  Tensor activated(const Tensor& rows, int64_t first) const {
    if (!norm_.conv_y && fused(rows)) {
      return affine_silu(rows, affine_);
    }
    const auto row = [&](int64_t index) {
      return affine_.select(1, index).unsqueeze(2).unsqueeze(3);
    };
    Tensor h = at::addcmul(row(1), rows, row(0)).to(rows.scalar_type());
    if (norm_.conv_y) {
      const Tensor here = latents_.narrow(2, first, rows.size(2));
      h = at::addcmul(norm_.conv_b->forward(here), h, norm_.conv_y->forward(here));
    }
    return at::silu(h);
  }

 private:
  static Tensor moments_of(const Tensor& rows) {
    if (fused(rows)) {
      return channel_moments(rows);
    }
    const Tensor wide = rows.to(at::kFloat);
    const auto sum = [](const Tensor& x) {
      return x.sum(at::IntArrayRef({2, 3}), false, at::kDouble);
    };
    return at::stack({sum(wide), sum(wide.square())}, 1);
  }

  const SpatialNorm& norm_;
  Tensor affine_;   // [1, 2, channels]
  Tensor latents_;  // of the map's size, where they condition the norm
};

/// What a residual block makes of a map. One that is stored is overwritten where it can be.
Tensor block_in_strips(const ResnetBlock2D& block, const RowMap& x, const Tensor& latents,
                       int64_t strip_pixels) {
  const bool in_place = x.stored.defined() && !block.conv_shortcut;
  Tensor inner, sum = in_place ? x.stored : Tensor();
  const StripNorm norm1(block.norm1, x, latents, strip_pixels);
  each_strip(x, strip_pixels, [&](int64_t begin, int64_t end) {
    const Window window(x, begin, end);
    const Tensor h = block.conv1.forward(norm1.activated(window.rows, window.first));
    put(inner, x.height, begin, window.own(h));
    if (!in_place) {
      const Tensor own = window.own(window.rows);
      put(sum, x.height, begin, block.conv_shortcut ? block.conv_shortcut->forward(own) : own);
    }
    if (x.forget) {
      x.forget(end - 1);  // the next strip's window begins there
    }
  });
  const RowMap h = stored(inner);
  const StripNorm norm2(block.norm2, h, latents, strip_pixels);
  each_strip(h, strip_pixels, [&](int64_t begin, int64_t end) {
    const Window window(h, begin, end);
    const Tensor part = block.conv2.forward(norm2.activated(window.rows, window.first));
    sum.narrow(2, begin, end - begin).add_(window.own(part));
  });
  return sum;
}

RowMap level_in_strips(const VaeLevel& level, RowMap x, const Tensor& latents,
                       int64_t strip_pixels) {
  for (std::size_t i = 0; i < level.resnets.size(); ++i) {
    Tensor h = block_in_strips(level.resnets[i], x, latents, strip_pixels);
    release_freed_memory();  // the next block's larger tensors lie elsewhere
    if (i < level.attentions.size()) {
      h = level.attentions[i].forward(h, latents);
    }
    x = stored(h);
  }
  if (level.downsample) {
    return downsampled(*level.downsample, x);
  }
  return level.upsample ? upsampled(*level.upsample, x) : x;
}

Tensor whole(const RowMap& x, int64_t strip_pixels) {
  Tensor map = x.stored;
  if (!map.defined()) {
    each_strip(x, strip_pixels,
               [&](int64_t begin, int64_t end) { put(map, x.height, begin, x.rows(begin, end)); });
  }
  return map;
}

/// A level's maps: `in` channels where it begins, and how large that map was where it was stored.
struct LevelShape {
  int64_t in, out, pixels, stored_pixels;
  bool doubles;  // its last map is made twice as large
};

/// Peaks of VaeLevel::forward and of level_in_strips, as counted in their code, and what oneDNN
/// takes besides.
VaeBytes peak(const std::vector<LevelShape>& levels, bool spatial, at::ScalarType dtype) {
  VaeBytes bytes{0, 0};
  for (const LevelShape& level : levels) {
    const int64_t in = level.in, out = level.out, strip = std::min(2 * usual_strip, level.pixels);
    const int64_t block = std::max({2 * in + out, in + 3 * out, spatial ? 6 * in : 0});
    const int64_t enlarged = level.doubles ? 9 * out : 0;
    bytes.whole = std::max(bytes.whole, std::max(block, enlarged) * level.pixels);
    bytes.in_strips = std::max(bytes.in_strips, in * level.stored_pixels + 2 * out * level.pixels +
                                                    (spatial ? 8 : 4) * std::max(in, out) * strip);
  }
  const auto size = static_cast<int64_t>(c10::elementSize(dtype));
  return {bytes.whole * size * 6 / 5, bytes.in_strips * size * 6 / 5};
}

}  // namespace

Tensor decoded_in_strips(const VaeDecoder& decoder, const Tensor& z, const Tensor& latents,
                         int64_t strip_pixels) {
  RowMap x = stored(decoder.mid_block.forward(decoder.conv_in.forward(z), latents));
  for (const VaeLevel& level : decoder.up_blocks) {
    x = level_in_strips(level, std::move(x), latents, strip_pixels);
  }
  const StripNorm norm(decoder.conv_norm_out, x, latents, strip_pixels);
  Tensor pictures;
  each_strip(x, strip_pixels, [&](int64_t begin, int64_t end) {
    const Window window(x, begin, end);
    const Tensor h = decoder.conv_out.forward(norm.activated(window.rows, window.first));
    put(pictures, x.height, begin, window.own(h));
  });
  return pictures;
}

Tensor encoded_in_strips(const VaeEncoder& encoder, const Tensor& pictures, int64_t strip_pixels) {
  RowMap x = convolved(encoder.conv_in, stored(pictures));
  for (const VaeLevel& level : encoder.down_blocks) {
    x = level_in_strips(level, std::move(x), {}, strip_pixels);
  }
  const Tensor h = encoder.mid_block.forward(whole(x, strip_pixels), {});
  return encoder.conv_out.forward(encoder.conv_norm_out.activated(h));
}

VaeBytes decoding_bytes(const VaeConfig& config, int64_t height, int64_t width,
                        at::ScalarType dtype) {
  std::vector<LevelShape> levels;
  int64_t in = config.block_out_channels.back();
  for (int i = static_cast<int>(config.block_out_channels.size()) - 1; i >= 0; --i) {
    const int64_t out = config.block_out_channels[i], pixels = (height >> i) * (width >> i);
    levels.push_back({in, out, pixels, levels.empty() ? pixels : pixels / 4, i > 0});
    in = out;
  }
  return peak(levels, config.norm_type == "spatial", dtype);
}

VaeBytes encoding_bytes(const VaeConfig& config, int64_t height, int64_t width,
                        at::ScalarType dtype) {
  std::vector<LevelShape> levels;
  int64_t in = config.block_out_channels.front();
  for (std::size_t i = 0; i < config.block_out_channels.size(); ++i) {
    const int64_t out = config.block_out_channels[i], pixels = (height >> i) * (width >> i);
    levels.push_back({in, out, pixels, i == 0 ? 0 : 4 * pixels, false});
    in = out;
  }
  return peak(levels, false, dtype);
}

Tensor within_memory(const Tensor& batch, const VaeBytes& bytes, const OfPart& run) {
  const int64_t n = batch.size(0);
  if (!batch.is_cpu() || c10::GradMode::is_enabled()) {
    return run(0, n, false);
  }
  const bool is_short = 2 * bytes.whole * n > free_memory();  // freed memory that is kept included
  if (!is_short && bytes.whole * n <= usual_bytes) {
    return run(0, n, false);
  }
  const FrugalMemory frugal(largest_strip);
  const int64_t at_once = std::min(std::min(free_memory(), usual_bytes) / bytes.whole, n);
  if (at_once == n) {
    return run(0, n, false);
  }
  if (is_short) {
    spdlog::info("memory is short: the autoencoder takes {}",
                 at_once > 0 ? fmt::format("{} of {} pictures at a time", at_once, n)
                             : "each picture in strips");
  }
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < n; i += std::max<int64_t>(at_once, 1)) {
    parts.push_back(run(i, std::clamp<int64_t>(at_once, 1, n - i), at_once == 0));
  }
  return at::cat(parts);
}

Tensor decoded_within_memory(const VaeDecoder& decoder, const VaeConfig& config, const Tensor& z,
                             const Tensor& latents) {
  const VaeBytes bytes = decoding_bytes(config, z.size(2) * config.factor(),
                                        z.size(3) * config.factor(), z.scalar_type());
  return within_memory(z, bytes, [&](int64_t begin, int64_t count, bool in_strips) {
    const Tensor here = z.narrow(0, begin, count);
    const Tensor conditions = latents.defined() ? latents.narrow(0, begin, count) : latents;
    return in_strips ? decoded_in_strips(decoder, here, conditions)
                     : decoder.forward(here, conditions);
  });
}

Tensor encoded_within_memory(const VaeEncoder& encoder, const VaeConfig& config,
                             const Tensor& pictures) {
  const VaeBytes bytes =
      encoding_bytes(config, pictures.size(2), pictures.size(3), pictures.scalar_type());
  return within_memory(pictures, bytes, [&](int64_t begin, int64_t count, bool in_strips) {
    const Tensor here = pictures.narrow(0, begin, count);
    return in_strips ? encoded_in_strips(encoder, here) : encoder.forward(here);
  });
}

}  // namespace longhand
