"""Reading CounterFact (Meng et al. 2022, arXiv 2202.05262) in every form in which it is passed around."""
