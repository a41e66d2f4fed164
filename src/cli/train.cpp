// longhand train RECIPE
#include "train/recipe.h"

#include "cli/command.h"
#include "cli/commands.h"

namespace longhand {

std::function<int()> declare_train(CLI::App& app) {
  auto path = std::make_shared<std::string>();
  app.add_option("recipe", *path, "a JSON recipe, as those under runs/")->required();
  app.footer(
      "Trains what a recipe says. Stopped at any moment, the same command goes on from the last\n"
      "checkpoint; losses.csv, checkpoints and sample sheets lie in the recipe's \"out\" "
      "folder.\n\n"
      "  longhand train runs/pocket/autoencoder.json\n"
      "  longhand train runs/pocket/painter.json");
  return [path] {
    train(Recipe::load(*path));
    return 0;
  };
}

}  // namespace longhand
