"""The GE2E speaker encoder out of Resemblyzer's training checkpoint."""

from __future__ import annotations

from pathlib import Path

from encoders.checkpoints.conversions.files import write_json, write_weights

# Learned scale of the training loss; nothing that embeds speech uses it.
_LOSS_ONLY = {"similarity_weight", "similarity_bias"}


def speaker_encoder_to_safetensors(sources: Path, target: Path) -> None:
    """``pretrained.pt`` (17 MB with optimizer state) to 1.42 M weights: ``lstm.*`` (3 layers) and ``linear.*``."""
    import torch

    checkpoint = torch.load(sources / "pretrained.pt", map_location="cpu", weights_only=True)
    weights = {name: tensor for name, tensor in checkpoint["model_state"].items() if name not in _LOSS_ONLY}
    write_weights(weights, target)
    hidden, mels = weights["lstm.weight_ih_l0"].shape[0] // 4, weights["lstm.weight_ih_l0"].shape[1]
    config = {
        "model_type": "ge2e_speaker_encoder",
        "mel_channels": mels,
        "hidden_size": hidden,
        "num_layers": sum(name.startswith("lstm.weight_ih_l") for name in weights),
        "embedding_size": weights["linear.weight"].shape[0],
        "sampling_rate": 16000,
        "n_fft": 400,  # 25 ms
        "hop_length": 160,  # 10 ms
        "window_frames": 160,  # 1.6 s, what the network was trained on
        "mel_power": "linear",  # no logarithm
        "minimum_dbfs": -30.0,  # quieter speech is raised to this level
    }
    write_json(config, target / "config.json")
