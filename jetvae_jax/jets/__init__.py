"""Jets: scaling, objective, samples, evaluation."""
