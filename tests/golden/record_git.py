"""Records what transformers' GIT answers, and writes: tests/golden/git.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_git.py
Writes a small seeded configuration with expected.safetensors: logits of a text after a picture, and what greedy generation adds.
"""
import torch
from transformers import GitConfig, GitForCausalLM

from record_networks import save
from record_unclip import VISION, lively

if __name__ == "__main__":
    torch.manual_seed(21)
    vision = {k: v for k, v in VISION.items() if k != "projection_dim"}
    config = GitConfig(vision_config=vision, vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=48, max_position_embeddings=16, bos_token_id=58, eos_token_id=59, pad_token_id=0,
                       tie_word_embeddings=True)
    model = lively(GitForCausalLM(config))
    pixels, ids = torch.randn(2, 3, 28, 28), torch.randint(1, 58, (2, 9))
    patches = (VISION["image_size"] // VISION["patch_size"]) ** 2 + 1
    written = model.generate(pixel_values=pixels, input_ids=ids[:, :3], max_new_tokens=8, do_sample=False, eos_token_id=1000)
    save("git", model, {"pixel_values": pixels, "ids": ids, "logits": model(ids, pixel_values=pixels).logits[:, patches:],
                        "written": written})
