"""The renderings of ShapeNet by Kato et al. (§4.1)."""
