"""Records whole runs of diffusers' schedulers for the golden tests: schedulers.safetensors, beside this file.

Usage: setup/bootstrap --reference && .venv/bin/python tests/golden/record_schedulers.py

Each case is a scheduler by a name of --scheduler or its class name, made by from_config from a published or made-up
scheduler_config.json, a number of steps, the index that the run starts at, and eta. The file's metadata lists them as
JSON; tensors are called NUMBER.timesteps, .sigma (that the initial noise is scaled by), .noised (a clean sample noised
to where the run starts), .clean (as predicted at the last step; diffusers' PNDM has none) and .answer. The model is a
stand-in that both sides can compute. Each row of the batch has a generator of its own.
"""
import inspect
import json
import pathlib

import diffusers
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parent.parent / "data" / "models"
SEEDS = (11, 12)
SHAPE = (1, 2, 3, 3)  # of a row; torch draws 16 values and more by another method than fewer

NAMES = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpm++_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++_2m_karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "dpm++_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpm++_2m_sde_karras": ("DPMSolverMultistepScheduler",
                            {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "unclip": ("UnCLIPScheduler", {}),
}


def model(x: torch.Tensor, t: float, with_variance: bool) -> torch.Tensor:
    mean = torch.tanh(x) + t / 1000
    return torch.cat([mean, 0.5 + 0.4 * torch.tanh(2 * x)], 1) if with_variance else mean


def run(case: dict) -> dict:
    name, options = NAMES.get(case["scheduler"], (case["scheduler"], {}))
    scheduler = getattr(diffusers, name).from_config(case["file"], **options)
    scheduler.set_timesteps(case["steps"])
    start, timesteps = case.get("start", 0), scheduler.timesteps
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    clean, noise = (torch.cat([torch.randn(SHAPE, generator=g) for g in generators]) for _ in range(2))
    noised = scheduler.add_noise(clean, noise, timesteps[start : start + 1])
    x = noised if start else noise * scheduler.init_noise_sigma
    known = inspect.signature(scheduler.step).parameters
    extra = {"generator": generators} if "generator" in known else {}
    extra |= {"eta": case["eta"]} if "eta" in case else {}
    with_variance = case["file"].get("variance_type", "").startswith("learned")
    for i in range(start, len(timesteps)):
        if "prev_timestep" in known:
            extra["prev_timestep"] = timesteps[i + 1] if i + 1 < len(timesteps) else None
        answer = model(scheduler.scale_model_input(x, timesteps[i]), float(timesteps[i]), with_variance)
        step = scheduler.step(answer, timesteps[i], x, **extra)
        x = step.prev_sample
    outcome = {"timesteps": timesteps.float(), "noised": noised, "answer": x,
               "sigma": torch.as_tensor(scheduler.init_noise_sigma).float().reshape(1)}
    if hasattr(scheduler, "model_outputs"):
        outcome["clean"] = scheduler.model_outputs[-1]
    elif name != "PNDMScheduler":
        outcome["clean"] = step.denoised if hasattr(step, "denoised") else step.pred_original_sample
    assert all(value.isfinite().all() for value in outcome.values()), case
    return outcome


def published() -> list:
    """Each published file with its own class, at the numbers of steps that it is used with."""
    cases = []
    for path in sorted(MODELS.glob("*/*scheduler/scheduler_config.json")):
        file = json.loads(path.read_text())
        name = file["_class_name"]
        counts = {"UnCLIPScheduler": (2, 7, 25), "EulerAncestralDiscreteScheduler": (1, 2, 4)}.get(name, (1, 2, 25, 50))
        for steps in (*counts, 1000) if path.parts[-3] == "ddpm-256" else counts:
            cases.append({"scheduler": name, "file": file, "steps": steps})
        cases.append({"scheduler": name, "file": file, "steps": 10, "start": 4})
    unique = {json.dumps(case, sort_keys=True): case for case in cases}
    return list(unique.values())


def chosen() -> list:
    """Each name of --scheduler over files of other classes, from which it keeps what it knows."""
    def load(path: str) -> dict:
        return json.loads((MODELS / path / "scheduler_config.json").read_text())

    files = [load("stable-diffusion-xl-base-1.0/scheduler"), load("stable-diffusion-2-1/scheduler")]
    cases = [{"scheduler": name, "file": file, "steps": 5} for name in NAMES if name != "unclip" for file in files]
    kandinsky = load("kandinsky-2-2-decoder/scheduler")
    cases += [{"scheduler": name, "file": kandinsky, "steps": 10} for name in NAMES if name != "unclip"]
    for name in NAMES:
        if name not in ("unclip", "lcm"):
            cases += [{"scheduler": name, "file": files[0], "steps": steps} for steps in (1, 2, 50)]
            cases.append({"scheduler": name, "file": files[0], "steps": 10, "start": 6})
    cases += [{"scheduler": "lcm", "file": files[0], "steps": steps} for steps in (1, 2, 4, 8, 50)]
    cases.append({"scheduler": "lcm", "file": files[0], "steps": 8, "start": 3})
    cases += [{"scheduler": "ddim", "file": file, "steps": 10, "start": start, "eta": eta}
              for file in files for start, eta in ((0, 1.0), (4, 0.5))]
    return cases


def options() -> list:
    """Options one by one, and those that change each other, over latent diffusion's schedule."""
    cases = []

    def add(scheduler: str, steps: int = 7, start: int = 0, **file) -> None:
        file = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"} | file
        cases.append({"scheduler": scheduler, "file": file, "steps": steps, "start": start})

    every = [name for name in NAMES if name not in ("unclip", "lcm") and not name.endswith("karras")]
    for name in every:
        for spacing in ("leading", "linspace", "trailing"):
            add(name, timestep_spacing=spacing, prediction_type="v_prediction")
        add(name, timestep_spacing="leading", steps_offset=1, beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction")
        add(name, timestep_spacing="trailing", beta_schedule="linear", num_train_timesteps=500)
    for name in every + ["lcm"]:
        if name not in ("pndm", "heun"):
            add(name, timestep_spacing="trailing", prediction_type="v_prediction", rescale_betas_zero_snr=True)
        if name not in ("pndm", "euler_a"):
            add(name, prediction_type="sample")
        if name in ("ddim", "ddpm", "lcm", "dpm++_2m", "dpm++_2m_sde", "unipc"):
            add(name, thresholding=True, dynamic_thresholding_ratio=0.8, sample_max_value=1.5)
        if name in ("ddim", "ddpm", "lcm", "heun"):
            add(name, clip_sample=True, clip_sample_range=0.7)
    add("ddim", set_alpha_to_one=True, clip_sample=False)
    add("pndm", set_alpha_to_one=True)
    for variance in ("fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range"):
        for steps in (7, 250):
            add("ddpm", steps, variance_type=variance, clip_sample=False)
    for variance in ("fixed_small_log", "learned_range"):
        for prediction in ("epsilon", "sample"):
            for steps in (2, 7, 100, 1000):
                add("unclip", steps, variance_type=variance, prediction_type=prediction, clip_sample_range=5.0,
                    beta_schedule="squaredcos_cap_v2")
    for name in ("euler", "heun", "dpm++_2m", "dpm++_2m_sde", "unipc"):
        for sigmas in ("karras", "exponential"):
            for steps in (1, 2, 25):
                add(name, steps, timestep_spacing="leading", steps_offset=1, **{f"use_{sigmas}_sigmas": True})
            add(name, 10, 4, beta_schedule="squaredcos_cap_v2", **{f"use_{sigmas}_sigmas": True})
        if name != "heun":
            add(name, final_sigmas_type="sigma_min")
            add(name, final_sigmas_type="sigma_min", use_karras_sigmas=True)
    add("euler", 7, timestep_spacing="trailing", rescale_betas_zero_snr=True)
    for algorithm in ("dpm++_2m", "dpm++_2m_sde"):
        for solver in ("midpoint", "heun"):
            for order in (1, 2):
                add(algorithm, 10, solver_type=solver, solver_order=order)
                add(algorithm, 20, solver_type=solver, solver_order=order, final_sigmas_type="sigma_min")
        add(algorithm, 20, final_sigmas_type="sigma_min", euler_at_final=True)
        add(algorithm, 10, final_sigmas_type="sigma_min", lower_order_final=False)
        add(algorithm, solver_type="bh2")
    for steps in (2, 3, 10, 20):
        add("dpm++_2m", steps, solver_order=3)
    add("DPMSolverMultistepScheduler", algorithm_type="deis", final_sigmas_type="sigma_min")
    for solver in ("bh1", "bh2"):
        for order in (1, 2, 3):
            for steps in (3, 10, 50):
                add("unipc", steps, solver_type=solver, solver_order=order,
                    final_sigmas_type="sigma_min" if solver == "bh1" else "zero")  # bh1 to zero is NaN in diffusers
    add("unipc", 10, 3, solver_order=3)
    add("unipc", solver_order=2, lower_order_final=False, final_sigmas_type="sigma_min")
    add("unipc", solver_type="midpoint")
    add("lcm", 4, original_inference_steps=20, timestep_scaling=2.0)
    return cases


if __name__ == "__main__":
    diffusers.utils.logging.set_verbosity_error()
    recorded, tensors = published() + chosen() + options(), {}
    for number, each in enumerate(recorded):
        for key, value in run(each).items():
            tensors[f"{number}.{key}"] = value.clone().contiguous()
    save_file(tensors, HERE / "schedulers.safetensors", {"cases": json.dumps(recorded)})
    print(f"{len(recorded)} cases")
