# Makes reference.json: what R's glmnet and survival say of small data sets.
#
#   Rscript make.R > reference.json
#
# Debian packages r-base-core, r-cran-glmnet, r-cran-survival. The data are rounded so that the text holds them exactly.
suppressMessages({ library(glmnet); library(survival) })
set.seed(20240314)

num <- function(x) paste0("[", paste(formatC(x, digits = 15, width = 1, format = "g"), collapse = ","), "]")
rows <- function(m) paste0("[", paste(apply(m, 1, num), collapse = ",\n  "), "]")
field <- function(name, value) paste0("\"", name, "\": ", value)
object <- function(...) paste0("{", paste(c(...), collapse = ",\n "), "}")

n <- 70; p <- 8
shared <- rnorm(n)
x <- sapply(1:p, function(j) round((0.6 * shared + rnorm(n)) * c(1, 10, 0.1)[j %% 3 + 1] + j, 3))
eta <- drop(scale(x) %*% c(1.2, -0.8, 0, 0, 0.6, 0, 0, -0.4))
y <- as.integer(runif(n) < 1 / (1 + exp(-eta)))
time <- pmax(0.5, round(rexp(n, exp(0.7 * eta)) * 10) / 2)   # halves: many ties
event <- as.integer(runif(n) < 0.7)

fits <- function(family, response, alphas) {
  paste0("[", paste(sapply(alphas, function(alpha) {
    lambda <- if (alpha == 0) c(1, 0.3, 0.1, 0.03) else c(0.2, 0.1, 0.05, 0.02, 0.005)
    fit <- glmnet(x, response, family = family, alpha = alpha, lambda = lambda, thresh = 1e-14, maxit = 1e7)
    b <- as.matrix(coef(fit))
    object(field("alpha", alpha), field("lambda", num(lambda)), field("coefficients", rows(t(b))))
  }), collapse = ",\n"), "]")
}
path <- function(family, response, alpha) {
  num(glmnet(x, response, family = family, alpha = alpha, nlambda = 20, thresh = 1e-14)$lambda)
}
surv <- Surv(time, event)
efron <- coxph(surv ~ x, ties = "efron", control = coxph.control(eps = 1e-10, toler.chol = 1e-12, iter.max = 50))
breslow <- coxph(surv ~ x, ties = "breslow", control = coxph.control(eps = 1e-10, toler.chol = 1e-12, iter.max = 50))
# scale = FALSE penalises the coefficients as they are, by theta / 2 each squared.
z <- scale(x)
frame <- data.frame(time = time, event = event, z)
ridge <- coxph(Surv(time, event) ~ ridge(X1, X2, X3, X4, X5, X6, X7, X8, theta = 5, scale = FALSE), data = frame,
               ties = "efron", control = coxph.control(eps = 1e-10, toler.chol = 1e-12, iter.max = 50, outer.max = 1))
logit <- glm(y ~ x, family = binomial, control = glm.control(epsilon = 1e-14, maxit = 100))
risk <- drop(x %*% coef(efron))
cat(object(
  field("versions", paste0("\"", R.version.string, ", glmnet ", packageVersion("glmnet"), ", survival ", packageVersion("survival"), "\"")),
  field("x", rows(x)), field("y", num(y)), field("time", num(time)), field("event", num(event)),
  field("logistic", fits("binomial", y, c(1, 0.5, 0.05, 0))),
  field("cox", fits("cox", surv, c(1, 0.5, 0.05, 0))),
  field("logistic_path", path("binomial", y, 0.5)), field("cox_path", path("cox", surv, 0.5)),
  field("glm", num(coef(logit))),
  field("coxph_efron", object(field("coefficients", num(coef(efron))), field("loglik", num(efron$loglik)), field("se", num(sqrt(diag(vcov(efron))))))),
  field("coxph_breslow", object(field("coefficients", num(coef(breslow))), field("loglik", num(breslow$loglik)))),
  field("coxph_ridge", object(field("theta", 5), field("x", rows(z)), field("coefficients", num(coef(ridge))))),
  field("concordance", num(concordance(surv ~ risk, reverse = TRUE)$concordance))
), "\n", sep = "")
