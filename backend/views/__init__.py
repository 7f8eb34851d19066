"""Novel views of the object: the view plan and the view models."""
