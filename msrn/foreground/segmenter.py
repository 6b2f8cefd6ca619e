"""Masks of photographs by a fine-tuned perceptron and the network behind M_o: the last step of §3.1, Eqs 7 and 18."""

import numpy as np
import torch

from msrn.foreground.perceptron import Perceptron
from msrn.foreground.refinement import stretch, weighed
from msrn.foreground.saliency import Saliency
from msrn.settings import Settings

BATCH = 32


class Segmenter:
    """What finds the foreground of photographs. With masks ``off-the-shelf`` no perceptron is asked."""

    settings: Settings
    saliency: Saliency
    perceptron: Perceptron

    def masks(self, images: np.ndarray, category: np.ndarray | None) -> np.ndarray:
        """M^s (N,H,W) bool of photographs (N,3,H,W) uint8. ``category`` None: each has its likeliest one."""
        soft = self.coarse(images, progress=False)
        if self.settings.masks == "off-the-shelf":
            return soft >= 128
        return self.combined(soft, self.cues(images, category))

    def coarse(self, images: np.ndarray, progress: bool) -> np.ndarray:
        """M_o (N,H,W), soft, uint8; CCAM starts from all of the image."""
        if self.settings.masks == "ccam":
            return np.full((len(images), *images.shape[2:]), 255, np.uint8)
        return self.saliency.maps(images, progress=progress)

    def combined(self, soft: np.ndarray, cues: np.ndarray) -> np.ndarray:
        """M^s (N,H,W) from U2-Net's soft maps (N,H,W) uint8 and the cues (N,H,W) in 0..1."""
        return self.strength(soft, cues) >= 0.5

    def strength(self, soft: np.ndarray, cues: np.ndarray) -> np.ndarray:
        """What speaks for the foreground, (N,H,W) in 0..1; where it is at least one half is M^s, by Eq. 18 or weighed.
        CCAM has no M_o to weigh its map with."""
        s = self.settings
        if s.refinement == "weigh" and s.masks != "ccam":
            return weighed(soft, cues)
        return np.where(cues >= s.cue_threshold, soft / np.float32(255), np.float32(0))

    def cues(self, images: np.ndarray, category: np.ndarray | None) -> np.ndarray:
        """M_f (N,H,W) of each image's category, or CCAM's of no category, enlarged and stretched to 0..1."""
        network, stretched = self.perceptron, []  # fine-tuned with gradients, so not below
        device = next(network.parameters()).device
        with torch.inference_mode():
            for rows in (slice(start, start + BATCH) for start in range(0, len(images), BATCH)):
                batch = torch.from_numpy(np.array(images[rows])).to(device).float() / 255
                features = network.features(batch)
                if self.settings.masks == "ccam":
                    stretched.append(stretch(network.activation(features).cpu().numpy(), images.shape[2:]))
                    continue
                if category is None:
                    terms = network.scores(features).mean((2, 3)).argmax(1)
                else:
                    terms = torch.from_numpy(np.array(category[rows], np.int64)).to(device)
                cue = network.cues(features)[torch.arange(len(batch), device=device), terms]
                stretched.append(stretch(cue.cpu().numpy(), images.shape[2:]))
        return np.concatenate(stretched)
