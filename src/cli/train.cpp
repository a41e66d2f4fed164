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
      "checkpoint; losses.csv, TensorBoard's event files, checkpoints and sample sheets lie in "
      "the\n"
      "recipe's \"out\" folder. Started by mpirun, processes share each batch, with the losses "
      "that\n"
      "one process has; where one is lost, the run ends at its last checkpoint.\n\n"
      "  longhand train runs/pocket/autoencoder.json\n"
      "  longhand train runs/pocket/painter.json\n"
      "  mpirun -n 2 longhand train runs/pocket/painter.json\n"
      "  tensorboard --logdir runs/out/pocket");
  return [path] {
    train(Recipe::load(*path));
    return 0;
  };
}

}  // namespace longhand
