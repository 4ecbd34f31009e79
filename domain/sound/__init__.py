"""What is heard: from the sounds of assets to the finished sound of a timeline. Pure; all in samples.

Sound is made like pictures are, as a small build. The sound of each asset is extracted once. Stretches of it, at their
places and levels, are added up to blocks, which are kept: an edit remakes the blocks it touches. All blocks together
are then ducked, brought to a loudness and encoded in one go, so that nothing can drift where they meet.
"""
