// Choosing the next token: temperature, top-k, a guide's bias, top-p.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "llm/language_model.h"

namespace longhand {

struct Candidate {
  int token;
  float logit;
};

/// The k largest logits, largest first.
std::vector<Candidate> top_candidates(std::span<const float> logits, int k);

/// One of the candidates after bias(token) and temperature, within the smallest set whose
/// probability reaches top_p; -1 where the bias forbids all. Temperature 0 takes the likeliest.
int sample_token(std::vector<Candidate> candidates, const Sampling& sampling,
                 const std::function<float(int token)>& bias, Random& random);

}  // namespace longhand
