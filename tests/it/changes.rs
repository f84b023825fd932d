//! Each kind of change to a stack file becomes the change in AWS that it stands for.
