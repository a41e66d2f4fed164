"""A GGUF of Mistral 7B's shape with random weights and another model's tokenizer, for timings alone: one layer's weights in all.

Usage: .venv/bin/python bench/random_gguf.py TOKENIZER.gguf q4_0|q8_0 OUT.gguf
Written with gguf-py of llama.cpp's sources (.deps/llama-source).
"""
import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / ".deps/llama-source/gguf-py"))
import gguf  # noqa: E402

LAYERS, HIDDEN, FEED_FORWARD, HEADS, KV_HEADS = 32, 4096, 14336, 32, 8
KEYS = HIDDEN // HEADS * KV_HEADS
MATRICES = {"attn_q": (HIDDEN, HIDDEN), "attn_k": (KEYS, HIDDEN), "attn_v": (KEYS, HIDDEN), "attn_output": (HIDDEN, HIDDEN),
            "ffn_gate": (FEED_FORWARD, HIDDEN), "ffn_up": (FEED_FORWARD, HIDDEN), "ffn_down": (HIDDEN, FEED_FORWARD)}


def copy_tokenizer(writer: gguf.GGUFWriter, source: gguf.GGUFReader) -> int:
    """Copies the tokenizer's fields; returns how many tokens there are."""
    for name, field in source.fields.items():
        if name.startswith("tokenizer."):
            kind = field.types[0]
            within = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), kind, sub_type=within)
    return len(source.fields["tokenizer.ggml.tokens"].data)


def main() -> None:
    source, kind, out = sys.argv[1:]
    quantisation = gguf.GGMLQuantizationType[kind.upper()]
    random = numpy.random.default_rng(0)
    writer = gguf.GGUFWriter(out, "llama")
    tokens = copy_tokenizer(writer, gguf.GGUFReader(source))
    writer.add_context_length(8192)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)

    def quantised(rows: int, width: int) -> numpy.ndarray:
        return gguf.quants.quantize((random.standard_normal((rows, width), dtype=numpy.float32) * width ** -0.5), quantisation)

    def add(name: str, data: numpy.ndarray) -> None:
        writer.add_tensor(f"{name}.weight", data, raw_dtype=quantisation if data.dtype == numpy.uint8 else None)

    vectors = numpy.ones(HIDDEN, dtype=numpy.float32)
    add("token_embd", quantised(tokens, HIDDEN))
    add("output", quantised(tokens, HIDDEN))
    add("output_norm", vectors)
    layer = {name: quantised(*shape) for name, shape in MATRICES.items()}
    for i in range(LAYERS):
        for name, data in layer.items():
            add(f"blk.{i}.{name}", data)
        add(f"blk.{i}.attn_norm", vectors)
        add(f"blk.{i}.ffn_norm", vectors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
