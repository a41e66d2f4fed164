// A journal of rows as Parquet: one file, or a folder in Hugging Face's dataset layout; and the way
// back.
#pragma once

#include <vector>

#include "core/files.h"
#include "io/table.h"

namespace longhand {

/// The rows of a journal (.jsonl) as one Parquet file, in bounded memory; readers see the old file
/// or the new one. Pictures' paths are relative to the file's folder. Throws unavailable, not_found
/// for a picture, and corrupt for a journal's row that is not of the columns.
void write_parquet(const fs::path& path, const fs::path& journal,
                   const std::vector<Column>& columns);

/// The rows of a journal as data/train-00000-of-00001.parquet … and README.md; shards of an older
/// count are removed.
void write_dataset(const fs::path& folder, const fs::path& journal,
                   const std::vector<Column>& columns, const RowOptions& options);

/// The shards of a dataset folder, in order; none where nothing was finished. Throws corrupt where
/// some are missing.
std::vector<fs::path> dataset_shards(const fs::path& folder);

/// Writes the journal of the rows of Parquet files that have the columns, whole or not at all;
/// pictures that are missing in `folder` are written from their bytes.
void restore_journal(const fs::path& journal, const std::vector<fs::path>& files,
                     const std::vector<Column>& columns, const fs::path& folder);

}  // namespace longhand
