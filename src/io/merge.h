// Shards of one job, written by processes with --shard 0/n to n-1/n, joined in the order of the
// whole.
#pragma once

#include <vector>

#include "core/files.h"

namespace longhand {

/// Row k of the whole is row k / n of shard k % n. All are tables of one format and so is `out`:
/// .jsonl, .csv, .tsv, .txt, .tar, .parquet without pictures, or folders in Hugging Face's layout,
/// whose pictures get the numbers that one process would have given them; memory is bounded by a
/// row of each. Returns how many rows it wrote. `out` is there when it is whole, or as it was.
/// Throws invalid_argument for other formats, an `out` that is there already, and shards of other
/// columns or settings (seed, model, template and the like); corrupt where shards do not have as
/// many rows as shards of one job have, or end within a row.
std::int64_t merge_shards(const std::vector<fs::path>& shards, const fs::path& out);

}  // namespace longhand
