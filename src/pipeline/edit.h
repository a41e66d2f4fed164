// Editing a picture: what is asked for, what is painted of it, and what is kept as it was.
#pragma once

#include "pipeline/draw.h"

namespace longhand {

/// What editing has beyond painting from a prompt.
struct EditChoices {
  std::string strength = "0.5";
  int n = 1;
  std::string mask;
  std::vector<std::string> paste;
  bool whole = false;
  int repeats = 1;
  double faithfulness = 0.1;
  double eta = 0;
  bool upsample = false;

  static constexpr auto fields = std::tuple{
      field("strength", &EditChoices::strength,
            "how much is painted anew: 0 returns the picture, 1 keeps next to nothing, 0.3 to 0.6 "
            "suits most; \"auto\" searches, see --faithfulness"),
      field("n", &EditChoices::n, "how many pictures; each has the next seed", 1, 64),
      field("mask", &EditChoices::mask,
            "a picture of the same size: white is painted anew, black stays as it is to the byte, "
            "grey is blended"),
      field("paste", &EditChoices::paste,
            "FILE@X,Y,SCALE: a cut-out to put on the picture, its upper left corner at pixel X,Y, "
            "and to harmonise with what is around it; may be given again"),
      field("whole", &EditChoices::whole,
            "paint all of the picture anew, not only around what is pasted"),
      field("repeats", &EditChoices::repeats,
            "how often to noise and denoise; each time from what was painted last", 1, 100),
      field("faithfulness", &EditChoices::faithfulness,
            "with --strength auto: how far from the picture to go at most, the root mean square "
            "difference of channels that are 0 to 1, where it is painted",
            0, 1),
      field("eta", &EditChoices::eta, "noise in each step of ddim, 0 to 1", 0, 1),
      field("upsample", &EditChoices::upsample, "lengthen the prompt first"),
  };
};

struct EditRequest : PaintRequest, EditChoices {
  std::string prompt;

  static constexpr auto fields = std::tuple_cat(EditChoices::fields, PaintRequest::fields);
};

/// A strength, or not set for "auto". Throws invalid_argument.
std::optional<double> strength_of(const EditChoices& choices);

/// A picture made ready.
struct Canvas {
  std::string name;      // for messages
  Image picture;         // as it was read, with its cut-outs; RGB or RGBA
  at::Tensor mask = {};  // [height, width] of it, 1 painted anew, 0 kept; undefined: all is painted
  Image guide = {};      // what is edited: RGB of the size that is painted
};

/// Reads the picture, its cut-outs and its mask; without a mask, and unless request.whole, what is
/// pasted makes one, a little wider. The guide is not set. Throws not_found or corrupt for a file,
/// invalid_argument for a mask of another size and for a cut-out that nothing is seen of.
Canvas read_canvas(const fs::path& picture, const EditRequest& request);

/// Sets the request's size, where it is open, to the picture's, rounded down to what the model can
/// paint, and the canvas's guide. Throws invalid_argument where there is no such size.
void fit(EditRequest& request, Canvas& canvas, const DiffusionModel& model);

/// The painting that a resolved request asks for, from this canvas.
PaintOptions editing_of(const EditRequest& request, const Canvas& canvas, double strength);

/// What was painted; with a mask, put back into the picture at the picture's size.
Image finished(const Canvas& canvas, const Image& painted);

/// The mean root mean square difference of what was painted (of the guide's size) from the guide.
double distance_from_guide(const Canvas& canvas, const std::vector<Image>& painted);

/// The paper's search for t0 (Meng et al. 2022, section 3.2), by halves: the largest strength,
/// among those of whole steps, whose distance is within the limit. Realism is taken to grow and
/// faithfulness to fall with the strength; where that does not hold from step to step, a larger one
/// may be missed. About log2(steps) calls; the last that was within the limit is the one returned.
/// Throws invalid_argument where one step is too much.
double largest_strength(int steps, double limit, const std::function<double(double)>& distance_at);

}  // namespace longhand
