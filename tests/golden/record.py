"""Records what the reference implementations answer, for the golden tests.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record.py
Writes beside itself: tokenizer.jsonl.gz (transformers' CLIPTokenizer), and for each network a small
seeded configuration in the diffusers layout with expected.safetensors (inputs and outputs, float32).
Also writes models/pocket/tokenizer, the vocabulary in the files that transformers reads.
"""
import csv
import gzip
import json
import pathlib
import random
import tempfile

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent.parent / "data"


def bytes_to_unicode() -> dict:
    """OpenAI's simple_tokenizer.bytes_to_unicode."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [b for b in range(256) if b not in printable]
    return dict(zip(printable + rest, [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]))


def write_tokenizer(folder: pathlib.Path) -> None:
    """vocab.json and merges.txt, as transformers reads them, from OpenAI's one file."""
    lines = gzip.open(DATA / "tokenizers" / "bpe_simple_vocab_16e6.txt.gz").read().decode().split("\n")
    merges = [line for line in lines[1 : 49152 - 256 - 2 + 1]]
    symbols = list(bytes_to_unicode().values())
    symbols += [s + "</w>" for s in symbols] + ["".join(m.split()) for m in merges]
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(symbols)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def reference_tokenizer() -> CLIPTokenizer:
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(pathlib.Path(folder))
        return CLIPTokenizer.from_pretrained(folder)


def prompts() -> list:
    found = [row["Prompts"] for row in csv.DictReader(open(DATA / "prompts" / "drawbench.csv"))]
    with open(DATA / "prompts" / "parti_prompts.tsv") as file:
        found += [row["Prompt"] for row in csv.DictReader(file, delimiter="\t")]
    return found + [json.loads(line)["prompt"] for line in open(DATA / "prompts" / "geneval.jsonl")]


def fuzzed(count: int) -> list:
    rng = random.Random(0)
    ranges = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF),
              (0x1E00, 0x20CF), (0x2100, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
              (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x10000, 0x10FFF), (0x0, 0x2FFF)]
    pieces = ["don't", "I'LL", "'s", "we're", "İstanbul", "ß", "ΣΑΣ", "ﬁ", "  ", "\t", "\n", "3.14", "x2", "…", "<|endoftext|>",
              "<|startoftext|>", "A", "the", "cat", "!!!", "’s", "é", "e\u0301", "Å", "\u00a0", "１２", "Ⅷ", "½", "👩‍🚀", "🇫🇷"]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 8)):
            if rng.random() < 0.5:
                low, high = rng.choice(ranges)
                parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))))
            else:
                parts.append(rng.choice(pieces))
            parts.append(rng.choice(["", " "]))
        texts.append("".join(parts))
    return texts


def record_tokenizer() -> None:
    tokenizer = reference_tokenizer()
    with gzip.GzipFile(HERE / "tokenizer.jsonl.gz", "wb", mtime=0) as file:
        for text in prompts() + fuzzed(6000):
            ids = tokenizer(text)["input_ids"][1:-1]
            file.write((json.dumps({"text": text, "ids": ids}) + "\n").encode())


def save(folder: str, model: torch.nn.Module, tensors: dict) -> None:
    model.save_pretrained(HERE / folder)
    save_file({k: v.detach().float().contiguous() for k, v in tensors.items()}, HERE / folder / "expected.safetensors")


def enliven(model: torch.nn.Module) -> torch.nn.Module:
    """Norms and biases away from ones and zeros, so that a forgotten one shows."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def record_unet(folder: str, **options) -> None:
    torch.manual_seed(1)
    model = enliven(UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32), norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, **options))
    sample, context = torch.randn(2, 4, 8, 6), torch.randn(2, 7, 16)
    timesteps = torch.tensor([3.0, 977.0])
    answer = model(sample, timesteps, context).sample
    save(folder, model, {"sample": sample, "context": context, "timesteps": timesteps, "answer": answer})


def record_vae() -> None:
    torch.manual_seed(2)
    model = enliven(AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(16, 32), layers_per_block=1, latent_channels=4, norm_num_groups=8))
    pictures, latents = torch.rand(2, 3, 12, 8) * 2 - 1, torch.randn(2, 4, 6, 4)
    moments = model.encode(pictures).latent_dist
    save("vae", model, {"pictures": pictures, "latents": latents, "mean": moments.mean, "logvar": moments.logvar,
                        "answer": model.decode(latents).sample})


def record_tiny_vae() -> None:
    torch.manual_seed(5)
    model = enliven(AutoencoderTiny(
        encoder_block_out_channels=(12,) * 3, decoder_block_out_channels=(12,) * 3, latent_channels=4,
        num_encoder_blocks=(1, 2, 1), num_decoder_blocks=(1, 2, 1)))
    pictures, latents = torch.rand(2, 3, 16, 8) * 2 - 1, 2 * torch.randn(2, 4, 4, 2)
    save("vae_tiny", model, {"pictures": pictures, "latents": latents, "encoded": model.encode(pictures).latents,
                             "answer": model.decode(latents).sample})


def record_text() -> None:
    torch.manual_seed(3)
    model = enliven(CLIPTextModel(CLIPTextConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=12, eos_token_id=99, bos_token_id=98, pad_token_id=99)))
    ids = torch.randint(0, 97, (2, 12))
    ids[:, 0], ids[0, 7:], ids[1, 4:] = 98, 99, 99
    out = model(ids)
    save("text_encoder", model, {"ids": ids, "last_hidden_state": out.last_hidden_state, "pooled": out.pooler_output})


def trajectory(scheduler, steps: int) -> dict:
    """A whole run with a stand-in model that both sides can compute: tanh(x) + t / 1000."""
    scheduler.set_timesteps(steps)
    torch.manual_seed(4)
    x = torch.randn(2, 4, 4, 4) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        x = scheduler.step(torch.tanh(scheduler.scale_model_input(x, t)) + t / 1000, t, x).prev_sample
    return {"timesteps": scheduler.timesteps.float(), "answer": x}


def record_schedulers() -> None:
    tensors = {}
    for prediction in ("epsilon", "v_prediction"):
        for spacing in ("leading", "trailing", "linspace"):
            for zero_snr in (False, True):
                options = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction,
                               timestep_spacing=spacing, steps_offset=1 if spacing == "leading" else 0)
                name = f"{prediction}.{spacing}.{'zero' if zero_snr else 'plain'}"
                made = {"ddim": DDIMScheduler(**options, clip_sample=False, set_alpha_to_one=False,
                                              rescale_betas_zero_snr=zero_snr)}
                if not zero_snr:
                    made["euler"] = EulerDiscreteScheduler(**options)
                for kind, scheduler in made.items():
                    if zero_snr and prediction == "epsilon":
                        continue  # no signal at the last timestep: ε says nothing there
                    for key, value in trajectory(scheduler, 7).items():
                        tensors[f"{kind}.{name}.{key}"] = value.contiguous()
    save_file(tensors, HERE / "schedulers.safetensors")


if __name__ == "__main__":
    write_tokenizer(DATA.parent / "models" / "pocket" / "tokenizer")
    record_tokenizer()
    record_unet("unet_sd1", attention_head_dim=2, layers_per_block=2)
    record_unet("unet_sd2", attention_head_dim=(2, 4), layers_per_block=1, use_linear_projection=True,
                transformer_layers_per_block=(2, 1))
    record_vae()
    record_tiny_vae()
    record_text()
    record_schedulers()
