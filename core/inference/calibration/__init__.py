"""What a model's matrices multiply, observed while it reads conversations of ours."""
