// The verbs, one a file: each declares its options and returns what runs.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace longhand {

std::function<int()> declare_blend(CLI::App& app);
std::function<int()> declare_caption(CLI::App& app);
std::function<int()> declare_compare(CLI::App& app);
std::function<int()> declare_draw(CLI::App& app);
std::function<int()> declare_edit(CLI::App& app);
std::function<int()> declare_eval(CLI::App& app);
std::function<int()> declare_merge(CLI::App& app);
std::function<int()> declare_models(CLI::App& app);
std::function<int()> declare_morph(CLI::App& app);
std::function<int()> declare_pull(CLI::App& app);
std::function<int()> declare_sheet(CLI::App& app);
std::function<int()> declare_show(CLI::App& app);
std::function<int()> declare_strokes(CLI::App& app);
std::function<int()> declare_train(CLI::App& app);
std::function<int()> declare_upsample(CLI::App& app);
std::function<int()> declare_vary(CLI::App& app);
std::function<int()> declare_world(CLI::App& app);

}  // namespace longhand
