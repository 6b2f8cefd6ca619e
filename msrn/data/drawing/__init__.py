"""Images of meshes (§4.1): the views and the z-buffer that draws them."""
